"""What a build may know and the image must not: secrets, SSH, and who may have registry passwords."""

from __future__ import annotations

import argparse

from ..usage import UsageError

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from libdepot._request import RequestFields


def add_flags(build: argparse.ArgumentParser) -> None:
    add = build.add_argument
    add("--secret", metavar="SPEC", action="append", default=[],
        help='a secret for the steps that mount it: "id=npm,src=token.txt", "id=npm,env=NPM_TOKEN"; may be repeated')
    add("--allow-realm", metavar="REGISTRY=SERVER", action="append", default=[],
        help="let a token server have the password of a registry that nothing else ties it to; may be repeated")
    add("--ssh", metavar="SPEC", action="append", default=[],
        help='an SSH agent for the steps that mount it: "default" for $SSH_AUTH_SOCK, "id=PATH" for a socket or '
             "private keys; may be repeated")


def fields_of(options: argparse.Namespace) -> RequestFields:
    fields: RequestFields = {}
    if options.secret:
        fields["secrets"] = options.secret
    if options.ssh:
        fields["ssh"] = options.ssh
    if options.allow_realm:
        fields["realms"] = realms(options.allow_realm)
    return fields


def realms(pairs: list[str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for pair in pairs:
        host, equals, server = pair.partition("=")
        if not (host and equals and server):
            raise UsageError("--allow-realm needs REGISTRY=SERVER")
        out.setdefault(host, []).append(server)
    return out
