"""Builders of older versions, by their own answers: what they do, and what they say they lack. What a build
takes in and gives back is held against them in tests/scenarios."""

import parts
import pytest

import libdepot


def test_tls_without_alpn(context):
    """Before v0.17 buildkitd offers no ALPN, without which neither gRPC nor today's buildctl talks to it."""
    with parts.Buildkitd(tls=True, version="v0.13") as builder:
        certs = builder.certs
        client = libdepot.Client(builder=builder.endpoint, tls_ca_file=certs.ca, tls_cert_file=certs.client,
                                 tls_key_file=certs.client_key, tls_server_name=builder.server_name)
        folder = context("FROM scratch\nCOPY Dockerfile /\n")
        with pytest.raises(libdepot.FailedPreconditionError, match="without ALPN.*since v0.17") as caught:
            client.build(folder)
        assert caught.value.hop == libdepot.Hop.MACHINE and "Unix socket" in caught.value.hint
        theirs = builder.buildctl("debug", "workers", over_tcp=True)
        assert theirs.returncode != 0 and "ALPN" in theirs.stderr
        assert libdepot.build(folder, builder=builder.unix, exports=["type=oci,dest=/dev/null"]).digest


def test_a_feature_that_came_later(context):
    """An older frontend does not look at an attribute that it does not know: no success without it."""
    with parts.Buildkitd(version="v0.20") as builder:
        folder = context("FROM scratch\nCOPY Dockerfile /\n")
        lacks = "resource limits: BuildKit can since 0.31, and it is 0.20"
        with pytest.raises(libdepot.FailedPreconditionError, match=lacks):
            libdepot.build(folder, builder=builder.unix, attrs={"memory": "100000000"})
        assert libdepot.build(folder, builder=builder.unix, attrs={"hostname": "h"}, exports=["type=cacheonly"])
