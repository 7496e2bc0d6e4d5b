"""The flow through Depot's API: what the server sees of it, and by which ways it is reached."""

import base64
import contextlib
import os
import re

import parts
import pytest
from conftest import outcome

import libdepot

COPY = "FROM scratch\nCOPY Dockerfile /x\n"


def platforms(calls):
    return {call["fields"]["platform"] for call in calls}


def test_a_machine_is_polled_at_the_pace_the_api_asks_for(depot, api, context):
    waits = [150, 400, 250]
    api.script(pending_ms=waits)
    with libdepot.Client(**depot) as client:
        client.build(context(COPY))
    polls = api.calls("GetBuildKitConnection")
    assert len(polls) == len(waits) + 1
    for before, after, wait in zip(polls, polls[1:], waits):
        assert after["at_ms"] - before["at_ms"] >= wait
    # What keeps the lease while the machine boots does not wait for it.
    assert api.calls("ReportBuildHealth")[0]["seq"] < polls[-1]["seq"]
    assert [call["method"] for call in api.calls()][0] == "CreateBuild"
    assert outcome(api)[0] == "success"


@pytest.mark.parametrize("asked, sent", [("arm64", "BUILDER_PLATFORM_ARM64"), ("amd64", "BUILDER_PLATFORM_AMD64"),
                                         ("linux/arm64", "BUILDER_PLATFORM_ARM64")])
def test_the_platform_reaches_the_api(depot, api, asked, sent):
    with libdepot.Client(**depot) as client, client.new_build() as build, build.acquire(asked) as machine:
        assert machine.platform == asked.rpartition("/")[2]
        reports = api.calls("ReportBuildHealth", at_least=1)
    assert platforms(api.calls("GetBuildKitConnection")) == platforms(reports) == {sent}


@pytest.mark.parametrize("platform, sent", [("linux/arm64", "BUILDER_PLATFORM_ARM64"),
                                            ("linux/amd64", "BUILDER_PLATFORM_AMD64")])
def test_a_build_for_one_platform_is_made_on_a_machine_of_it(depot, api, context, platform, sent):
    with libdepot.Client(**depot) as client:
        client.build(context(COPY), platform=platform)
    assert platforms(api.calls("GetBuildKitConnection")) == {sent}


def test_a_machine_is_asked_for_once_more(depot, api, context):
    api.script(faults=[{"method": "GetBuildKitConnection", "kind": "garbage", "times": 1}])
    with libdepot.Client(**depot) as client:
        client.build(context(COPY))
    assert len(api.calls("GetBuildKitConnection")) == 2
    assert outcome(api)[0] == "success"


@pytest.mark.parametrize("ci", [True, False])
def test_the_user_agent_has_its_five_parts(depot, api, context, monkeypatch, ci):
    if ci:
        monkeypatch.setenv("CI", "true")
    with libdepot.Client(**depot) as client:
        client.build(context(COPY))
    (agent,) = {call["user_agent"] for call in api.calls()}
    where = "ci" if ci else "terminal"
    assert re.fullmatch(rf"libdepot/{re.escape(libdepot.__version__)}/linux/(amd64|arm64)/{where}", agent)


def test_a_product_is_told_after_them(depot, api):
    with libdepot.Client(**depot, product="shipyard/2.0") as client, client.new_build():
        pass
    assert all(re.fullmatch(r"(\S+/){4}terminal shipyard/2\.0", call["user_agent"]) for call in api.calls())


# Over TLS.

@pytest.fixture
def secure(builder, tmp_path):
    """The API over TLS, under the name api.test alone; reached through a proxy that knows the name."""
    certs = parts.Certificates(tmp_path / "api-certs", "api.test")
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(parts.Standin(builder, token="the-token", project="p1", certs=certs))
        proxy = stack.enter_context(parts.Proxy(dict.fromkeys(["api.test", "other.test"], "127.0.0.1")))
        port = api.ready["port"]
        options = {"builder": "depot", "token": "the-token", "project": "p1", "api_url": f"https://api.test:{port}",
                   "ca_file": certs.ca, "proxy": proxy.url}
        yield api, proxy, options, f"api.test:{port}"


def test_the_api_over_tls_and_through_a_proxy(secure, context):
    api, proxy, options, host = secure
    with libdepot.Client(**options) as client:
        client.build(context(COPY))
    assert outcome(api)[0] == "success"
    assert proxy.requests and {tuple(line.split()[:2]) for line in proxy.requests} == {("CONNECT", host)}
    assert {call["http"] for call in api.calls()} == {"HTTP/2.0"}


def test_a_proxy_and_a_ca_of_the_environment(secure, context, monkeypatch):
    api, proxy, options, host = secure
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with libdepot.Client(**{**options, "proxy": None}) as client:
        client.build(context(COPY))
    assert outcome(api)[0] == "success" and proxy.requests


def test_an_api_whose_ca_is_not_known(secure):
    api, proxy, options, host = secure
    with libdepot.Client(**{**options, "ca_file": None}) as client, pytest.raises(libdepot.Error) as raised:
        client.new_build()
    assert raised.value.hop is libdepot.Hop.API and "certificate" in raised.value.message.lower()
    assert host in raised.value.message and proxy.requests
    assert api.calls() == []


def test_an_api_under_another_name(secure):
    """Of the right CA."""
    api, proxy, options, host = secure
    with libdepot.Client(**{**options, "api_url": options["api_url"].replace("api.", "other.")}) as client:
        with pytest.raises(libdepot.Error) as raised:
            client.new_build()
    assert raised.value.hop is libdepot.Hop.API and "other.test" in raised.value.message
    assert "certificate" in raised.value.message.lower()
    assert proxy.requests and api.calls() == []


# What CreateBuild brings.

@pytest.mark.parametrize("right", [True, False])
def test_credentials_of_the_api_are_used_for_the_push(depot, api, context, right):
    """No other is there: the docker config is empty."""
    with parts.Registry("htpasswd") as registry:
        login = f"{registry.USER}:{registry.PASSWORD if right else 'wr0ng'}"
        api.script(additional_credentials=[{"host": registry.host, "token": base64.b64encode(login.encode()).decode()}])
        assert not os.path.exists(os.environ["DOCKER_CONFIG"])
        with libdepot.Client(**depot) as client:
            if right:
                assert client.build(context(COPY), tags=[f"{registry.host}/app:1"], push=True).digest
            else:
                with pytest.raises(libdepot.UnauthenticatedError) as raised:
                    client.build(context(COPY), tags=[f"{registry.host}/app:1"], push=True)
                assert raised.value.hop is libdepot.Hop.REGISTRY and "wr0ng" not in str(raised.value)
    assert outcome(api)[0] == ("success" if right else "error")
