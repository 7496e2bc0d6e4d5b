"""A Docker Engine (Debian's docker.io) for tests, and a buildkitd in one of its containers.

Its own data, its own socket, no network set up in the host: builds and containers have the host's or
none. Needs root."""

from __future__ import annotations

import http.client
import io
import json
import os
import pathlib
import socket
import subprocess
import tarfile
import threading

import parts


class Dockerd(parts.Part):
    CONTAINER = "depot-test-buildkit"

    def start(self) -> None:
        self.socket = self.dir / "docker.sock"
        self.host = f"unix://{self.socket}"
        config = self.dir / "daemon.json"
        config.write_text("{}")
        self.client = parts.program("docker", "docker.io")
        argv = [parts.program("dockerd", "docker.io"), "--host", self.host, "--data-root", str(self.dir / "root"),
                "--exec-root", str(self.dir / "exec"), "--pidfile", str(self.dir / "pid"),
                "--iptables=false", "--ip6tables=false", "--bridge=none", "--config-file", str(config)]
        env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        env.pop("DOCKER_HOST", None)
        self.process = self.run(parts.Process("dockerd", argv, self.dir / "log", env=env, namespace=True))
        self.process.wait_for(r"API listen on ")
        self._lock, self._container = threading.Lock(), False

    def docker(self, *args: str, **kwargs) -> subprocess.CompletedProcess:
        """The real client, talking to this engine."""
        made = subprocess.run([self.client, "--host", self.host, *args],
                              **{"capture_output": True, "text": True, **kwargs})
        if made.returncode:
            raise parts.PartError(f"docker {' '.join(args)}: {made.stderr}")
        return made

    def containerd(self, *args: str) -> str:
        """What containerd's own client says, in a namespace that is not Docker's."""
        made = subprocess.run([parts.program("ctr", "containerd"), "--address",
                               str(self.dir / "exec/containerd/containerd.sock"), "--namespace", "libdepot", *args],
                              capture_output=True, text=True)
        if made.returncode:
            raise parts.PartError(f"ctr {' '.join(args)}: {made.stderr}")
        return made.stdout

    def inspect(self, image: str) -> dict | None:
        """The engine's own record of an image; None: it has none."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.socket))
        try:
            connection.request("GET", f"/images/{image}/json")
            answer = connection.getresponse()
            body = json.load(answer)
        finally:
            connection.close()
        return body if answer.status == 200 else None

    def container(self) -> str:
        """The name of a container that runs buildkitd; made when first asked for."""
        with self._lock:
            if not self._container:
                self._run_buildkitd()
                self._container = True
        return self.CONTAINER

    def _run_buildkitd(self) -> None:
        empty = io.BytesIO()
        with tarfile.open(fileobj=empty, mode="w") as tar:
            for folder in ("etc", "tmp", "root"):
                info = tarfile.TarInfo(folder)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
        self.docker("import", "-", "empty", input=empty.getvalue(), text=False)
        # The engine and what runc is linked against, from this computer. Not --privileged: that wants
        # every capability, of which a test machine may lack one.
        engine = parts.engine().resolve()
        mounts = {str(engine), *(p for p in ("/usr", "/lib", "/lib64") if pathlib.Path(p).exists())}
        volumes = [word for path in sorted(mounts) for word in ("-v", f"{path}:{path}:ro")]
        self.docker("run", "-d", "--name", self.CONTAINER, "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE",
                    "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
                    "--network", "host", *volumes, "-v", f"{self.dir}/buildkit:/var/lib/buildkit",
                    "-e", f"PATH={engine}:/usr/sbin:/usr/bin", "--entrypoint", str(engine / "buildkitd"), "empty",
                    "--addr", "unix:///run/buildkit/buildkitd.sock", "--oci-worker-net", "host")
        log = subprocess.Popen([self.client, "--host", self.host, "logs", "-f", self.CONTAINER],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            lines = []
            for line in log.stdout:
                lines.append(line)
                if "running server on" in line:
                    return
            raise parts.PartError("buildkitd in a container ended:\n" + "".join(lines[-20:]))
        finally:
            log.kill()
            log.wait()
            log.stdout.close()

    def info(self) -> dict:
        return {"host": self.host, "pid": self.process.pid, "dir": str(self.dir), "log": str(self.dir / "log")}
