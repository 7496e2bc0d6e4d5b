"""What the bench builds on: BuildKit's daemon, and a builder that builds nothing."""

import json
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "parts"))
import parts  # noqa: E402


def cpu_seconds(part):
    """What a part's process has taken so far, itself and those it waited for (proc(5): utime to cstime)."""
    after_name = pathlib.Path(f"/proc/{part.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[11:15])) / os.sysconf("SC_CLK_TCK")


class NullBuilder(parts.Part):
    """nullbuilder/: it pulls a build's files (pull="all"), or lists them alone ("none"), and throws them
    away; an export to a directory brings `export` files of so many bytes. The certificates are those of
    parts.Buildkitd."""

    def __init__(self, pull, address, export=(0, 0)):
        super().__init__()
        self.pull, self.address, self.export = pull, address, export
        self.server_name = parts.Buildkitd.SERVER_NAME
        self.certs = parts.Certificates(self.dir / "certs", self.server_name)
        self._told = 0

    def start(self):
        certs = self.certs
        argv = [self.program(), "-address", f"{self.address}:0", "-pull", self.pull,
                "-export", "{}x{}".format(*self.export),
                "-tlscacert", certs.ca, "-tlscert", certs.server, "-tlskey", certs.server_key]
        self.process = self.run(parts.Process("nullbuilder", argv, self.dir / "log"))
        self.endpoint = "tcp://" + self.process.wait_for(r"listening on (\S+)")[0][1]

    @staticmethod
    def program():
        return parts.go_build(HERE / "nullbuilder", "nullbuilder")

    def reports(self, count):
        """What it tells of the next solves (type report in nullbuilder/builder.go)."""
        lines = self.process.wait_for(r"(?m)^\{.*\}$", self._told + count)[self._told:]
        self._told += len(lines)
        return [json.loads(line[0]) for line in lines]

    def forget(self):
        """It remembers no file."""


class Daemon(parts.Buildkitd):
    """buildkitd, over mutual TLS."""

    def __init__(self, address, _):
        # Loopback it listens on in any case.
        super().__init__(tls=True, args=() if address == "127.0.0.1" else ("--addr", f"tcp://{address}:0"))
        self.address = address

    def start(self):
        super().start()
        self.endpoint = "tcp://" + self.process.wait_for(rf"running server on ({re.escape(self.address)}:\d+)")[0][1]

    def reports(self, _):
        return []

    def forget(self):
        """Nothing that any build left is used again: neither steps nor contexts."""
        pruned = self.buildctl("prune", "--all")
        if pruned.returncode:
            raise parts.PartError(f"buildctl prune: {pruned.stderr}")
