"""Where it is built."""

from __future__ import annotations

import argparse

import libdepot

WARNING = 30  # logging's


def add_flags(build: argparse.ArgumentParser) -> None:
    where = build.add_argument_group("builder")
    add = where.add_argument
    add("--builder", metavar="auto|local|depot|docker|ADDRESS", action="append",
        help="auto: Depot with a token, else $BUILDKIT_HOST, else a local one that starts by itself; "
             "docker: the BuildKit of a Docker Engine, $DOCKER_HOST; ADDRESS: unix:///path, tcp://host:port, "
             "docker-container://NAME, podman-container://NAME, nerdctl-container://NAME, kube-pod://POD, "
             "ssh://HOST, docker://HOST (default: auto). May be repeated, each ADDRESS with what it is to build: "
             "tcp://host:port,platform=linux/arm64")
    add("--project", metavar="ID", help="Depot project (default: $DEPOT_PROJECT_ID, depot.json)")
    add("--token", metavar="TOKEN", help="Depot token; $DEPOT_TOKEN is not seen by other users as this is")
    add("--tlscacert", metavar="PEM", help="CA that signed the certificate of a tcp:// builder")
    add("--tlscert", metavar="PEM", help="client certificate")
    add("--tlskey", metavar="PEM", help="its key")
    add("--tlsservername", metavar="NAME", help="name to verify in the builder's certificate")


def client_of(options: argparse.Namespace, warnings: list[str]) -> libdepot.Client:
    """Adds to `warnings` what the library has to say; all of it when the client is closed."""
    def on_log(level: int, line: str) -> None:
        if level >= WARNING:
            warnings.append(line)

    named = options.builder or ["auto"]
    several = len(named) > 1 or ",platform=" in named[0]
    return libdepot.Client(
        on_log=on_log, builder=None if several else named[0], nodes=named if several else (),
        token=options.token, project=options.project, tls_ca_file=options.tlscacert,
        tls_cert_file=options.tlscert, tls_key_file=options.tlskey, tls_server_name=options.tlsservername)
