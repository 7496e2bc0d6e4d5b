"""A Docker Engine for clients that know nothing else, docker-py being one. Debian's, unpacked into the
cache instead of installed, and started by hand: the machine is left as it is."""

import os
import subprocess

import builders

parts = builders.parts

UNPACK = """
. "$1/packaging/lib.sh"
out=$cache/peers/docker-engine
if [ ! -x "$out/usr/sbin/dockerd" ]; then
  mkdir -p "$cache/peers"
  new=$(mktemp -d "$cache/peers/.new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  cd "$new"
  packages="docker.io containerd"
  apt-get download $packages >&2 || { as_root apt-get update && apt-get download $packages; } >&2
  for package in *.deb; do dpkg -x "$package" .; done
  rm -- *.deb
  "$new/usr/sbin/dockerd" --version >&2  # what it needs is here
  rm -rf "$out"
  mv -T "$new" "$out"
fi
echo "$out"
"""
INSTALL = """
. "$1/packaging/lib.sh"
out=$cache/peers/docker-py-$DOCKER_PY_VERSION
if [ ! -e "$out/ready" ]; then
  python=$(find_python)
  rm -rf "$out" && mkdir -p "${out%/*}"
  "$python" -m venv "$out" >&2
  "$out/bin/pip" install -q --disable-pip-version-check "docker==$DOCKER_PY_VERSION" >&2
  touch "$out/ready"
fi
echo "$out/bin/python"
"""


def fetched(script, what):
    """Prints a path as its last line."""
    made = subprocess.run(["bash", "-euc", script, "bench", str(parts.ROOT)], capture_output=True, text=True)
    if made.returncode:
        raise parts.PartError(f"{what} cannot be had:\n{made.stderr}")
    return made.stdout.splitlines()[-1]


class Engine(parts.Part):
    """dockerd, over mutual TLS, without a network for containers: no step runs in one."""

    # It is reached by this name, too: docker-py verifies the name that it connects to.
    server_name = "localhost"

    def __init__(self):
        super().__init__()
        self.certs = parts.Certificates(self.dir / "certs", self.server_name)
        self.folder = fetched(UNPACK, "Docker Engine")

    def start(self):
        bin_ = f"{self.folder}/usr/bin:{self.folder}/usr/sbin"
        config = self.dir / "daemon.json"  # not the machine's
        config.write_text("{}")
        argv = ["dockerd", "--config-file", str(config), "--data-root", str(self.dir / "data"),
                "--exec-root", str(self.dir / "exec"), "--pidfile", str(self.dir / "pid"),
                "--host", "tcp://127.0.0.1:0", "--host", self.unix,
                "--iptables=false", "--ip6tables=false", "--bridge=none",
                "--tlsverify", "--tlscacert", self.certs.ca, "--tlscert", self.certs.server,
                "--tlskey", self.certs.server_key]
        self.env = {**os.environ, "PATH": f"{bin_}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        self.process = self.run(parts.Process("dockerd", argv, self.dir / "log", env=self.env, namespace=True))
        (listening,) = self.process.wait_for(r"API listen on 127\.0\.0\.1:(\d+)")[:1]
        self.process.wait_for(r"API listen on \S+/docker\.sock")
        self.endpoint = f"tcp://{self.server_name}:{listening[1]}"

    @property
    def unix(self):
        return f"unix://{self.dir}/docker.sock"

    def reports(self, _):
        return []

    def forget(self):
        """Its cache of steps is its images."""
        pruned = subprocess.run(["docker", "--host", self.unix, "image", "prune", "--all", "--force"],
                                capture_output=True, text=True, env=self.env)
        if pruned.returncode:
            raise parts.PartError(f"docker image prune: {pruned.stderr}")
