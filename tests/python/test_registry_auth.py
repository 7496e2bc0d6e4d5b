"""Who gets which registry password: every place that credentials come from, against real registries; and
token servers that are not to have them."""

import base64
import io
import json
import os
import secrets
import stat
import threading

import parts
import pytest
from conftest import outcome, tls_flags

import libdepot
from libdepot import CredentialUse, Hop
from libdepot._cli.arguments import parse, request_of

USER, PASSWORD = parts.Registry.USER, parts.Registry.PASSWORD
AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def basic():
    with parts.Registry("htpasswd") as started:
        yield started


@pytest.fixture(scope="module")
def tokens():
    with parts.Registry("token") as started:
        yield started


@pytest.fixture
def push(tls, context):
    folder = context("FROM scratch\nCOPY Dockerfile /x\n")

    def build(registry, repository=None, client=None, **fields):
        """The pushed image's digest, and what was told of credentials."""
        uses, names = [], []

        def watch(status):
            uses.extend(status.credential_uses)
            names.extend(vertex.name for vertex in status.vertexes)

        # A name that no build before had: the builder keeps tokens.
        name = f"{registry.host}/{repository or f'app{secrets.token_hex(8)}'}:1"
        digest = libdepot.build(folder, options={**tls, **(client or {})}, tags=[name], push=True, on_status=watch,
                                no_cache=True, **fields).digest
        assert digest
        build.names = names
        return uses
    return build


@pytest.fixture
def config(monkeypatch, tmp_path):
    """Writes docker's config.json where DOCKER_CONFIG says."""
    folder = tmp_path / "docker-config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))

    def write(**values):
        (folder / "config.json").write_text(json.dumps(values))
        return folder
    return write


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Installs docker-credential-NAME, a shell script; gives the file of what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def install(name, script):
        asked = tmp_path / f"asked-{name}"
        path = folder / f"docker-credential-{name}"
        path.write_text(f'#!/bin/sh\nread -r host\necho "$1 $host" >>{asked}\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return asked
    return install


def answers(username, secret):
    return "echo '" + json.dumps({"ServerURL": "x", "Username": username, "Secret": secret}) + "'"


def told(uses, registry):
    """Basic goes to the builder; a token server is asked from here."""
    receiver = registry.tokens.realm.split("/")[2] if registry.tokens else ""
    return uses == [CredentialUse(registry.host, receiver)]


@pytest.fixture(params=["basic", "tokens"])
def any_registry(request):
    return request.getfixturevalue(request.param)


def test_credentials_for_a_host(push, any_registry):
    uses = push(any_registry, registry_auth={any_registry.host: (USER, PASSWORD), "other.example": ("a", "b")})
    assert told(uses, any_registry)
    (name,) = [name for name in push.names if name.startswith("[auth]")]
    assert any_registry.host in name and PASSWORD not in name
    if any_registry.tokens is None:
        assert name == f"[auth] sharing credentials for {any_registry.host}"


def test_the_docker_config(push, config, any_registry):
    config(auths={any_registry.host: {"auth": AUTH}})
    assert told(push(any_registry), any_registry)
    config(auths={f"http://{any_registry.host}/v1/": {"username": USER, "password": PASSWORD}})
    assert told(push(any_registry), any_registry)


def test_the_variable_comes_before_the_file(push, config, basic, monkeypatch):
    config(auths={basic.host: {"auth": base64.b64encode(b"wrong:wrong").decode()}})
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {basic.host: {"auth": AUTH}}}))
    assert told(push(basic), basic)


@pytest.mark.parametrize("how", ["credsStore", "credHelpers"])
def test_a_helper(push, config, helper, any_registry, how):
    """Asked for this host and no other, once, however often the builder asks."""
    asked = helper("mine", answers(USER, PASSWORD))
    other = helper("other", "exit 1")
    if how == "credsStore":
        config(credsStore="mine", auths={"other.example": {}}, credHelpers={"other.example": "other"})
    else:
        config(credsStore="other", credHelpers={any_registry.host: "mine", "other.example": "other"})
    assert told(push(any_registry), any_registry)
    assert asked.read_text() == f"get {any_registry.host}\n" and not other.exists()


def test_a_helper_that_fails_is_told_with_its_words(push, config, helper, basic):
    helper("mine", "echo 'the keychain is locked' >&2; exit 3")
    config(credHelpers={basic.host: "mine"})
    with pytest.raises(libdepot.Error) as raised:
        push(basic)
    message = raised.value.message
    assert "docker-credential-mine" in message and "the keychain is locked" in message and basic.host in message


def test_a_helper_that_is_not_there(push, config, basic):
    config(credHelpers={basic.host: "nowhere"})
    with pytest.raises(libdepot.Error) as raised:
        push(basic)
    assert "docker-credential-nowhere" in raised.value.message


def test_a_helper_that_hangs_ends_with_the_build(push, config, helper, basic):
    """Its time limit is in the library's own tests; a cancel does not wait for it."""
    asked = helper("mine", "exec sleep 1000")
    config(credHelpers={basic.host: "mine"})
    cancel = libdepot.Cancel()

    def watch():
        while not asked.exists():
            ended.wait(0.01)
            if ended.is_set():
                return
        cancel.trigger()

    ended = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with pytest.raises(libdepot.CanceledError):
            push(basic, cancel=cancel)
    finally:
        ended.set()
        watcher.join()


def test_an_identity_token(push, config, helper, tokens):
    config(auths={tokens.host: {"identitytoken": PASSWORD}})
    before = len(tokens.tokens.requests)
    assert told(push(tokens), tokens)
    helper("mine", answers("<token>", PASSWORD))
    config(credHelpers={tokens.host: "mine"})
    assert told(push(tokens), tokens)
    assert told(push(tokens, registry_auth={tokens.host: ("", PASSWORD)}), tokens)
    asked = tokens.tokens.requests[before:]
    assert len(asked) >= 3 and {tuple(one["grant_type"]) for one in asked} == {("refresh_token",)}


def test_a_registry_token(push, config, tokens):
    """Ready to use: no token server is asked."""
    token = tokens.tokens.token(USER, [f"repository:fixed/app:{what}" for what in ("pull", "push")]
                                + ["repository:fixed/app:pull,push"])
    config(auths={tokens.host: {"registrytoken": token}})
    before = len(tokens.tokens.requests)
    uses = push(tokens, repository="fixed/app")
    assert uses == [CredentialUse(tokens.host, "")] and len(tokens.tokens.requests) == before


def test_a_function(push, any_registry, config):
    config(auths={any_registry.host: {"auth": base64.b64encode(b"wrong:wrong").decode()}})
    asked, threads = [], set()

    def login(host):
        asked.append(host)
        threads.add(threading.get_ident())
        return USER, PASSWORD

    assert told(push(any_registry, registry_auth=login), any_registry)
    assert asked == [any_registry.host] and len(threads) == 1


def test_a_function_that_knows_nothing(push, basic, config):
    config(auths={basic.host: {"auth": AUTH}})
    assert told(push(basic, registry_auth=lambda host: None), basic)


def test_a_function_that_raises(push, basic):
    def login(host):
        raise KeyError(host)

    with pytest.raises(KeyError, match=basic.host):
        push(basic, registry_auth=login)


def test_no_credentials_are_told_of_without_any(push, registry):
    assert push(registry) == []
    assert not [name for name in push.names if name.startswith("[auth]")]


def test_a_wrong_password(push, any_registry):
    with pytest.raises(libdepot.UnauthenticatedError) as raised:
        push(any_registry, registry_auth={any_registry.host: (USER, "hunter2")})
    error = raised.value
    assert error.hop is Hop.REGISTRY and any_registry.host in error.message and "hunter2" not in str(error)


@pytest.fixture(scope="module")
def foreign():
    """A registry with a token server that nothing ties to it."""
    with parts.Registry("token", realm_host="auth.invalid") as started:
        yield started


def test_a_foreign_token_server_gets_no_password(push, foreign):
    login = {foreign.host: (USER, PASSWORD)}
    server = foreign.tokens.realm.split("/")[2]
    with pytest.raises(libdepot.PermissionDeniedError) as raised:
        push(foreign, registry_auth=login)
    error = raised.value
    assert error.hop is Hop.REGISTRY and foreign.host in error.message and server in error.message
    assert f"--allow-realm {foreign.host}={server}" in error.hint
    asked = []

    def refuse(host, realm):
        asked.append((host, realm))
        return False

    with pytest.raises(libdepot.PermissionDeniedError):
        push(foreign, registry_auth=login, realms=refuse)
    assert asked == [(foreign.host, server)] and not foreign.tokens.requests


@pytest.mark.parametrize("how", ["list", "function"])
def test_unless_it_is_allowed(push, foreign, how):
    server = foreign.tokens.realm.split("/")[2]
    realms = {foreign.host: [server]} if how == "list" else lambda host, realm: True
    before = len(foreign.tokens.requests)
    with parts.Proxy({"auth.invalid": "127.0.0.1"}) as proxy:
        uses = push(foreign, registry_auth={foreign.host: (USER, PASSWORD)}, realms=realms,
                    client={"proxy": proxy.url, "ca_file": foreign.tokens.certs.ca})
    assert uses == [CredentialUse(foreign.host, server)]
    asked = foreign.tokens.requests[before:]
    assert asked and {one["password"] for one in asked} == {PASSWORD}


def test_a_question_that_raises(push, foreign):
    def refuse(host, realm):
        raise KeyError(realm)

    with pytest.raises(KeyError, match=r"auth\.invalid"):
        push(foreign, registry_auth={foreign.host: (USER, PASSWORD)}, realms=refuse)


def test_names_that_are_none(tls, context):
    folder = context("FROM scratch\n")
    for realms in ({"https://a": ["b"]}, {"a": ["b/token"]}, {"": ["b"]}):
        with pytest.raises(libdepot.InvalidArgumentError):
            libdepot.build(folder, options=tls, realms=realms)
    with pytest.raises(TypeError, match="list"):
        libdepot.build(folder, options=tls, realms={"a": "b"})


def test_through_depots_api(depot, api, context, basic):
    api.script(additional_credentials=[{"host": basic.host, "token": AUTH}])
    uses = []
    libdepot.build(context("FROM scratch\nCOPY Dockerfile /x\n"), options=depot, tags=[f"{basic.host}/depot:1"],
                   push=True, on_status=lambda status: uses.extend(status.credential_uses))
    assert uses == [CredentialUse(basic.host, "")] and outcome(api)[0] == "success"


def test_the_command_line_shows_who_gets_them(run_libdepot, builder, context, basic, config, foreign):
    folder = context("FROM scratch\nCOPY Dockerfile /x\n")
    config(auths={basic.host: {"auth": AUTH}, foreign.host: {"auth": AUTH}})
    _, err = run_libdepot("build", folder, *tls_flags(builder), "--progress", "plain", "--push", "-t",
                          f"{basic.host}/cli:1")
    assert f"[auth] sharing credentials for {basic.host}" in err
    _, err = run_libdepot("build", folder, *tls_flags(builder), "--push", "-t", f"{foreign.host}/cli:1", expect=1)
    assert f"--allow-realm {foreign.host}=auth.invalid:" in err
    run_libdepot("build", folder, "--allow-realm", "x", expect=2)


def test_the_flag():
    options = parse(["build", ".", "--allow-realm", "a=b:1", "--allow-realm", "a=c", "--allow-realm", "d=e"])
    assert request_of(options, io.BytesIO()).realms == {"a": ["b:1", "c"], "d": ["e"]}
