"""What to build, and where to put it."""

from __future__ import annotations

import os
import sys

from . import _check, _core
from ._light import Callable, Mapping, Sequence, dataclass, field

TYPE_CHECKING = False  # typing's; see _light
if TYPE_CHECKING:
    from typing import Any, Protocol, Union

    StrPath = Union[str, "os.PathLike[str]"]
    # {"type": "local", "dest": path, "mode": "max"}, or "type=local,dest=path,mode=max".
    Cache = Union[Mapping[str, StrPath], str]
else:
    # For who evaluates annotations, which Python 3.9 cannot do with those of this package.
    StrPath = str | os.PathLike[str] if sys.version_info >= (3, 10) else str
    Cache = Mapping[str, StrPath] | str if sys.version_info >= (3, 10) else str
    Protocol = object


class SupportsRead(Protocol):
    def read(self, size: int, /) -> bytes: ...


class SupportsWrite(Protocol):
    def write(self, data: bytes, /) -> object: ...


if TYPE_CHECKING:
    Context = Union[StrPath, SupportsRead]
else:
    Context = StrPath

# Gets the bytes of an export in order, on a thread of the library's; b"" once at the end. An
# exception cancels the solve, which raises it. What it returns does not matter.
WriteCallback = Callable[[bytes], object]


@dataclass
class Export:
    """Where a result goes: ``Export("oci", dest="hello.tar")``.

    ``type`` is image, registry, local, oci, docker, tar or cacheonly; ``attrs`` are its attributes by
    their wire names. ``dest`` is a path: a directory for local, and for oci and docker with ``{"tar":
    "false"}``; else a file for oci, docker and tar, where it may also be an open binary file or a function.
    docker without one goes into an image store, which the attribute "into" names: docker (default),
    docker://HOST, podman, nerdctl or ctr.
    """

    type: str
    dest: StrPath | SupportsWrite | WriteCallback | None = None
    attrs: Mapping[str, str] = field(default_factory=dict)


# Asked for the secret of that id when a step needs it; None: there is none. An exception cancels the solve,
# which raises it.
SecretCallback = Callable[[str], "bytes | None"]


# Asked for (user, password) of a registry host, which the answer is kept of for some minutes; None: somebody else
# may know it. An empty user: the password is an identity token.
LoginCallback = Callable[[str], "tuple[str, str] | None"]
# Asked, with a registry and a token server that nothing ties to it, whether that may have the password: True.
RealmCallback = Callable[[str, str], bool]


class Secret:
    """Where a secret comes from, when its bytes are not at hand: ``Secret.file("token.txt")``."""

    def __init__(self, *, file: StrPath | None = None, env: str | None = None) -> None:
        if (file is None) == (env is None):
            raise TypeError("a secret comes from a file or from an environment variable")
        if file is not None:
            _check.path("the file of a Secret", file)
        _check.text_or_none("the variable of a Secret", env)
        self._file, self._env = file, env

    @classmethod
    def file(cls, path: StrPath) -> Secret:
        """The bytes of a file, which has to be there when the build begins."""
        return cls(file=path)

    @classmethod
    def env(cls, name: str) -> Secret:
        """The value of an environment variable; empty when it is not set."""
        return cls(env=name)

    def __repr__(self) -> str:
        return f"Secret.file({self._file!r})" if self._env is None else f"Secret.env({self._env!r})"


class SshAgent:
    """An SSH agent that runs here: the one at ``socket``, else the one of $SSH_AUTH_SOCK.

    Steps may list its keys and have it sign, and nothing else. ``raw`` passes the bytes on as they are,
    whatever it is that listens there."""

    def __init__(self, socket: StrPath | None = None, *, raw: bool = False) -> None:
        self.socket, self.raw = socket, raw

    def __repr__(self) -> str:
        return f"SshAgent({self.socket!r}, raw={self.raw})"


class SshKeys:
    """An SSH agent of the library's own with these private keys: paths of their files, or their text as
    bytes. RSA, ECDSA or Ed25519, in PEM or OpenSSH's format, not encrypted."""

    def __init__(self, *keys: StrPath | bytes) -> None:
        if not keys:
            raise TypeError("SshKeys needs a key")
        for key in keys:
            _check.path("each of SshKeys", key, "a path, or a key's text as bytes")
            if isinstance(key, str) and "-----BEGIN" in key:  # would be shown as a path that is not there
                raise TypeError("each of SshKeys must be a path, or a key's text as bytes, not as a str")
        self._keys = keys

    def __repr__(self) -> str:
        return f"SshKeys({', '.join('<bytes>' if isinstance(key, bytes) else repr(key) for key in self._keys)})"


# What a file holds: bytes, text (UTF-8), or a function that gives the bytes. That is called when the
# builder first asks for them, at most once for each solve, on a thread of the library's. An exception
# cancels the solve, which raises it.
if TYPE_CHECKING:
    FileData = Union[bytes, str, Callable[[], bytes]]
    Files = Mapping[str, Union["File", bytes, str, Callable[[], bytes]]]  # by path, relative and with slashes
else:
    FileData, Files = object, Mapping


@dataclass
class File:
    """A file of a context that is no file of this computer: ``File(b"#!/bin/sh\\n", mode=0o755)``."""

    data: FileData
    mode: int = 0o644


_LISTS = ("tags", "save_tags", "exports", "secrets", "ssh", "no_cache_filter", "add_hosts", "ulimits", "entitlements",
          "attests", "cache_from", "cache_to")
_DICTS_TOO = ("secrets", "ssh")


@dataclass
class SolveRequest:
    """What to build. May be used for any number of solves, also at the same time.

    ``exports`` are Exports, or strings as ``docker buildx build --output`` spells them. Without any,
    tags and push make an image export; without those, the result stays in the builder's cache.
    ``secrets`` are by id: bytes, a Secret, or a function that is asked when a step needs it; or strings as
    ``docker buildx build --secret`` spells them.
    ``ssh`` are agents by id, of which "default" is what a mount asks for that names none; or strings as
    ``docker buildx build --ssh`` spells them: ["default"].
    A build argument whose value is None is taken from the environment, if it is there.

    ``context`` is a directory, or a Git reference or http(s) URL, as `docker buildx build` takes them;
    or a tar (perhaps compressed) or the text of a Dockerfile in an open binary file, or "-" for such on
    standard input. What is read so is good for one solve.
    ``files`` lie over that directory, or are all there is when it is None.
    """

    context: Context | None = "."
    dockerfile: StrPath | None = None  # as `docker build -f` takes it
    dockerfile_text: str | bytes | None = None  # the Dockerfile itself, instead
    ignore_text: str | bytes | None = None  # what stands in .dockerignore, instead of any such file
    files: Files = field(default_factory=dict)
    exports: Sequence[Export | str] = ()
    tags: Sequence[str] = ()
    push: bool = False
    load: bool = False  # into the Docker Engine that docker would use
    save: bool = False  # in Depot's registry, from where Client.pull_info() lets it be pulled
    save_tags: Sequence[str] = ()  # there under these tags, too; they say save by themselves
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    target: str | None = None
    platform: str | Sequence[str] | None = None
    no_cache: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache_filter: Sequence[str] = ()  # stages that are built again
    pull: bool = False  # ask the registry for each image
    add_hosts: Sequence[str] = ()  # "db:10.0.0.7", "host:host-gateway"
    network: str | None = None  # of the steps: default, none, host
    shm_size: str | int | None = None  # "64m"
    ulimits: Sequence[str] = ()  # "nofile=1024:2048"
    resources: Mapping[str, str | int] = field(default_factory=dict)  # {"memory": "2g", "cpu-quota": 50000}
    cgroup_parent: str | None = None
    entitlements: Sequence[str] = ()  # "network.host", "security.insecure", "device"
    annotations: Mapping[str, str] = field(default_factory=dict)  # "index:KEY" and so on -> value
    attests: Sequence[str] = ()  # "type=sbom,generator=IMAGE"
    sbom: bool | str | None = None  # a string: attributes
    provenance: bool | str | None = None  # a string: attributes, "mode=max"
    default_attestations: bool = False  # the provenance that buildx adds by itself
    call: str | None = None  # check, outline, targets: asks the frontend instead of building; see Result.call
    attrs: Mapping[str, str] = field(default_factory=dict)  # of the frontend
    frontend: str | None = None  # default: dockerfile.v0
    locals: Mapping[str, StrPath | Files] = field(default_factory=dict)  # name -> directory, or its files
    record_context: bool = False  # list in Result.sent_files what was sent
    # host -> (user, password), or a function of the host; ahead of the docker config
    registry_auth: Mapping[str, tuple[str, str]] | LoginCallback = field(default_factory=dict, repr=False)
    # registry -> token servers that may have its password though nothing ties them to it; or who is asked
    realms: Mapping[str, Sequence[str]] | RealmCallback = field(default_factory=dict)
    secrets: Mapping[str, bytes | Secret | SecretCallback] | Sequence[str] = field(default=(), repr=False)
    ssh: Mapping[str, SshAgent | SshKeys] | Sequence[str] = ()
    docker_config: StrPath | None = None  # its directory; "": none; default: DOCKER_CONFIG, ~/.docker
    # What the Dockerfile means by a name: a directory, "docker-image://REF", "oci-layout://DIR[:TAG]", a URL.
    build_contexts: Mapping[str, StrPath] = field(default_factory=dict)
    # Attributes, or a string as `--cache-from` and `--cache-to` take it. Not shown: they may hold keys.
    cache_from: Sequence[Cache] = field(default=(), repr=False)
    cache_to: Sequence[Cache] = field(default=(), repr=False)
    # "min", "max": Result.attestations, and the provenance in Result.metadata, as docker buildx has it
    record_provenance: str | None = None

    def __post_init__(self) -> None:
        for name in _LISTS:
            given = getattr(self, name)
            if name not in _DICTS_TOO or not isinstance(given, Mapping):
                _check.items(name, given)


if TYPE_CHECKING:
    from typing_extensions import TypedDict

    class RequestFields(TypedDict, total=False):
        """The fields of SolveRequest as keyword arguments, but for the context."""

        dockerfile: StrPath | None
        dockerfile_text: str | bytes | None
        ignore_text: str | bytes | None
        files: Files
        exports: Sequence[Export | str]
        tags: Sequence[str]
        push: bool
        load: bool
        save: bool
        save_tags: Sequence[str]
        build_args: Mapping[str, str | None]
        target: str | None
        platform: str | Sequence[str] | None
        no_cache: bool
        labels: Mapping[str, str]
        no_cache_filter: Sequence[str]
        pull: bool
        add_hosts: Sequence[str]
        network: str | None
        shm_size: str | int | None
        ulimits: Sequence[str]
        resources: Mapping[str, str | int]
        cgroup_parent: str | None
        entitlements: Sequence[str]
        annotations: Mapping[str, str]
        attests: Sequence[str]
        sbom: bool | str | None
        provenance: bool | str | None
        default_attestations: bool
        call: str | None
        attrs: Mapping[str, str]
        frontend: str | None
        locals: Mapping[str, StrPath | Files]
        record_context: bool
        registry_auth: Mapping[str, tuple[str, str]] | LoginCallback
        realms: Mapping[str, Sequence[str]] | RealmCallback
        secrets: Mapping[str, bytes | Secret | SecretCallback] | Sequence[str]
        ssh: Mapping[str, SshAgent | SshKeys] | Sequence[str]
        docker_config: StrPath | None
        build_contexts: Mapping[str, StrPath]
        cache_from: Sequence[Cache]
        cache_to: Sequence[Cache]
        record_provenance: str | None


def make_request(context: SolveRequest | StrPath | SupportsRead | None, fields: Mapping[str, Any]) -> SolveRequest:
    """The request that `build(context, **fields)` and `solve(...)` mean."""
    if isinstance(context, SolveRequest):
        if not fields:
            return context
        import dataclasses

        return dataclasses.replace(context, **fields)
    return SolveRequest(context=context, **fields)


def writer_of(dest: SupportsWrite | WriteCallback) -> WriteCallback:
    write = getattr(dest, "write", None)
    if write is None:
        if not callable(dest):
            raise _check.wrong("Export.dest", "a path, an open binary file or a function", dest)
        return dest

    def write_all(data: bytes) -> None:
        # An unbuffered file may take less than it is given.
        rest = memoryview(data)
        while rest:
            taken = write(rest)
            rest = rest[taken if isinstance(taken, int) else len(rest):]
        if not data and hasattr(dest, "flush"):
            dest.flush()

    return write_all


def lower(request: SolveRequest) -> _core.Request:
    """The C API's request for one solve of this one."""
    out = _core.Request()
    if request.frontend is not None:
        out.set_frontend(_check.text("frontend", request.frontend))
    dockerfile = b"" if request.dockerfile is None else _check.path("dockerfile", request.dockerfile)
    if request.context is None:
        if dockerfile:
            out.set_context(None, dockerfile)
    elif hasattr(request.context, "read") and not isinstance(request.context, os.PathLike):
        out.set_context_stream(request.context.read, dockerfile)
    else:
        context = _check.path("context", request.context, "a path, an open binary file or None")
        out.set_context(context, dockerfile)
    if request.dockerfile_text is not None:
        out.set_dockerfile_text(_check.data("dockerfile_text", request.dockerfile_text))
    if request.ignore_text is not None:
        out.set_ignore_text(_check.data("ignore_text", request.ignore_text))
    _add_files(out, "context", "files", request.files, "a dict")
    for name, directory in _check.pairs("locals", request.locals, _check.as_it_is):
        if isinstance(directory, (str, bytes, os.PathLike)):
            out.add_local(name, os.fsencode(directory))
        else:
            _add_files(out, name, f"locals[{name!r}]", directory, "a path or a dict of files")
    out.set_record_context(_check.switch("record_context", request.record_context))
    for export in _check.items("exports", request.exports):
        _add_export(out, export)
    for tag in _check.texts("tags", request.tags):
        out.add_tag(tag)
    out.set_push(_check.switch("push", request.push))
    out.set_load(_check.switch("load", request.load))
    out.set_save(_check.switch("save", request.save))
    for tag in _check.texts("save_tags", request.save_tags):
        out.add_save_tag(tag)
    _set_attributes(out, request)
    for key, value in _check.pairs("attrs", request.attrs):
        out.set_attr(key, value)
    for name, meant in _check.pairs("build_contexts", request.build_contexts, _check.path):
        out.add_build_context(name, meant)
    for cache in _check.items("cache_from", request.cache_from):
        out.add_cache_from(_cache_spec("cache_from", cache))
    for cache in _check.items("cache_to", request.cache_to):
        out.add_cache_to(_cache_spec("cache_to", cache))
    _add_registry(out, request)
    _add_secrets(out, request.secrets)
    _add_ssh(out, request.ssh)
    if request.docker_config is not None:
        out.set_docker_config(_check.path("docker_config", request.docker_config))
    return out


def _add_registry(out: _core.Request, request: SolveRequest) -> None:
    if callable(request.registry_auth):
        out.set_login_reader(request.registry_auth)
    else:
        logins = _check.pairs("registry_auth", request.registry_auth, _check.login, "a dict or a function")
        for host, (user, password) in logins:
            out.set_registry_auth(host, user, password)
    if callable(request.realms):
        out.set_realm_reader(request.realms)
        return
    for host, realms in _check.pairs("realms", request.realms, _check.texts, "a dict or a function"):
        for realm in realms:
            out.allow_realm(host, realm)


def _add_secrets(out: _core.Request, secrets: Mapping[str, bytes | Secret | SecretCallback] | Sequence[str]) -> None:
    if not isinstance(secrets, Mapping):
        for spec in _check.texts("secrets", secrets):
            out.add_secret(spec)
        return
    for name, secret in _check.pairs("secrets", secrets, _check.as_it_is):
        if isinstance(secret, Secret):
            if secret._env is not None:
                out.add_secret_env(name, secret._env)
            elif secret._file is not None:
                out.add_secret_file(name, os.fsencode(secret._file))
        elif callable(secret):
            out.add_secret_reader(name, secret)
        elif isinstance(secret, (bytes, bytearray, memoryview)):
            out.add_secret_bytes(name, bytes(secret))
        else:
            raise _check.wrong(f"secrets[{name!r}]", "bytes, a Secret or a function", secret)


def _add_ssh(out: _core.Request, agents: Mapping[str, SshAgent | SshKeys] | Sequence[str]) -> None:
    if not isinstance(agents, Mapping):
        for spec in _check.texts("ssh", agents):
            out.add_ssh(spec)
        return
    for name, agent in _check.pairs("ssh", agents, _check.as_it_is):
        if isinstance(agent, SshAgent):
            socket = None if agent.socket is None else _check.path("the socket of an SshAgent", agent.socket)
            out.add_ssh_agent(name, socket, _check.switch("raw of an SshAgent", agent.raw))
        elif isinstance(agent, SshKeys):
            for key in agent._keys:
                if isinstance(key, bytes):
                    out.add_ssh_key(name, key)
                else:
                    out.add_ssh_key_file(name, os.fsencode(key))
        else:
            raise _check.wrong(f"ssh[{name!r}]", "an SshAgent or SshKeys", agent)


def _set_attributes(out: _core.Request, request: SolveRequest) -> None:
    for name, argument in _check.pairs("build_args", request.build_args, _check.text_or_none):
        value = os.environ.get(name) if argument is None else argument
        if value is not None:
            out.set_build_arg(name, value)
    for key, value in _check.pairs("labels", request.labels):
        out.set_label(key, value)
    if request.platform is not None:
        out.set_platform(platforms(request.platform))
    out.set_no_cache(_check.switch("no_cache", request.no_cache))
    out.set_pull(_check.switch("pull", request.pull))
    if request.shm_size is not None:
        out.set_shm_size(_check.text_or_int("shm_size", request.shm_size))
    for kind, limit in _check.pairs("resources", request.resources, _check.text_or_int):
        out.add_resource(f"{kind}={limit}")
    for key, value in _check.pairs("annotations", request.annotations):
        out.set_annotation(key, value)
    for set_text, name in ((out.set_target, "target"), (out.set_network, "network"),
                           (out.set_cgroup_parent, "cgroup_parent"), (out.set_call, "call"),
                           (out.set_record_provenance, "record_provenance")):
        text = _check.text_or_none(name, getattr(request, name))
        if text is not None:
            set_text(text)
    for add, name in ((out.add_no_cache_filter, "no_cache_filter"), (out.add_host, "add_hosts"),
                      (out.add_ulimit, "ulimits"), (out.add_entitlement, "entitlements"),
                      (out.add_attest, "attests")):
        for each in _check.texts(name, getattr(request, name)):
            add(each)
    for attest, name in ((out.set_sbom, "sbom"), (out.set_provenance, "provenance")):
        wanted = getattr(request, name)
        if wanted is not None:
            attest(wanted if isinstance(wanted, str) else "true" if _check.switch(name, wanted) else "false")
    out.set_default_attestations(_check.switch("default_attestations", request.default_attestations))


def platforms(platform: str | Sequence[str]) -> str:
    return platform if isinstance(platform, str) else ",".join(_check.texts("platform", platform))


def _add_files(out: _core.Request, local: str, field: str, files: Any, takes: str) -> None:
    for path, given in _check.pairs(field, files, _check.as_it_is, takes):
        name = f"{field}[{path!r}]"
        file = given if isinstance(given, File) else File(given)
        mode = _check.number(f"the mode of {name}", file.mode, "an int, as 0o755", most=0xffffffff)
        if callable(file.data):
            out.add_file_function(local, path, file.data, mode)
        else:
            out.add_file(local, path, _check.data(name, file.data, "bytes, a str or a function"), mode)


def _cache_spec(field: str, cache: Cache) -> bytes:
    if isinstance(cache, str):
        return os.fsencode(cache)
    # Quoted as CSV has it: a path may hold a comma.
    attributes = _check.pairs(f"each of {field}", cache, _check.path, "a dict or a str")
    fields = [os.fsencode(key) + b"=" + value for key, value in attributes]
    return b",".join([b'"' + text.replace(b'"', b'""') + b'"' for text in fields])


def _add_export(out: _core.Request, export: Export | str) -> None:
    if isinstance(export, str):
        out.add_output(export)
        return
    if not isinstance(export, Export):
        raise _check.wrong("each of exports", "an Export or a str", export)
    index = out.add_export(_check.text("Export.type", export.type))
    for key, value in _check.pairs("Export.attrs", export.attrs):
        out.set_export_attr(index, key, value)
    if export.dest is None:
        return
    if isinstance(export.dest, (str, os.PathLike)):
        out.set_export_file(index, os.fsencode(export.dest))
    else:
        out.set_export_writer(index, writer_of(export.dest))
