"""A network between client and builder: the machine's own, or a slow one in namespaces of its own."""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys

import builders

parts = builders.parts
# Round trip in ms, Mbit/s up and down, loss in percent each way. 0 Mbit/s is as quick as it gets.
LINKS = {"lte": (50, 20, 20, 0), "dsl": (30, 10, 50, 0), "far": (200, 0, 0, 0), "lossy": (50, 100, 100, 1)}
INSIDE = "DEPOT_BENCH_NAMESPACE"


def link(text):
    """A name of LINKS, or their four numbers: 200/10/50/1."""
    if text in LINKS:
        return list(LINKS[text])
    if not re.fullmatch(r"\d+(\.\d+)?(/\d+(\.\d+)?){3}", text):
        raise ValueError(text)
    return [float(n) for n in text.split("/")]


def enter():
    """Starts this program again in a network namespace of its own, so that what it does to the network goes
    with it. Nothing can be downloaded there."""
    if os.environ.get(INSIDE):
        subprocess.run([parts.program("ip", "iproute2"), "link", "set", "lo", "up"], check=True)
        return
    unshare = parts.program("unshare", "util-linux")
    os.execve(unshare, [unshare, "--net", sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})


@dataclasses.dataclass
class Loopback:
    """No link, no namespaces."""

    address: str = "127.0.0.1"
    namespace: str = ""


class Link(parts.Part):
    """link/, between this namespace and one for the clients."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = numbers

    def start(self):
        rtt, up, down, loss = self.numbers
        argv = [program(), "-rtt", f"{rtt}ms", "-up", str(up), "-down", str(down), "-loss", str(loss)]
        self.process = self.run(parts.Process("link", argv, self.dir / "log"))
        ready = self.process.wait_for(r"ready (\S+) (\S+)")[0]
        self.address, self.namespace = ready[1], ready[2]


def program():
    return parts.go_build(builders.HERE / "link", "link")


def between(numbers):
    return Link(numbers) if numbers else contextlib.nullcontext(Loopback())
