"""Who reads the Dockerfile: the builder's own frontend, or an image that a line in it or a build argument
names. The builder's own goes by the name of an image too, which needs no registry."""

import pytest

import libdepot

FOREIGN = "# syntax={}/none/frontend:1\nFROM scratch\nCOPY Dockerfile /\n"


def test_the_line_in_the_dockerfile_names_an_image(tls, registry, context):
    with pytest.raises(libdepot.Error, match="none/frontend:1"):
        libdepot.build(context(FOREIGN.format(registry.host)), options=tls)


def test_the_argument_wins_over_the_line(tls, registry, context):
    folder = context(FOREIGN.format(registry.host))
    libdepot.build(folder, options=tls, build_args={"BUILDKIT_SYNTAX": "dockerfile.v0"})
    with pytest.raises(libdepot.Error, match="other/frontend:2"):
        libdepot.build(folder, options=tls, build_args={"BUILDKIT_SYNTAX": f"{registry.host}/other/frontend:2 --flag"})


def test_the_gateway_with_an_image_of_its_own(tls, registry, context):
    folder = context("FROM scratch\nCOPY Dockerfile /\n")
    libdepot.build(folder, options=tls, frontend="gateway.v0", attrs={"source": "dockerfile.v0"})
    with pytest.raises(libdepot.Error, match="none/gateway:1"):
        libdepot.build(folder, options=tls, frontend="gateway.v0",
                       attrs={"source": f"{registry.host}/none/gateway:1"})


def test_a_call_goes_to_the_frontend_that_is_named(tls, registry, context):
    folder = context(FOREIGN.format(registry.host))
    with pytest.raises(libdepot.Error, match="none/frontend:1"):
        libdepot.build(folder, options=tls, call="targets")
