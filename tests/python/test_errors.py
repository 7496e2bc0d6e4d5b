"""Errors: the class for each code and hop, the fields, and those of the library's own checks."""

import copy
import pickle

import pytest

import libdepot
from libdepot import Code, Hop, _core, _errors


def make(**fields):
    return _errors.make({"code": Code.UNKNOWN, "hop": Hop.NONE, "message": "it failed", **fields})


@pytest.mark.parametrize("code", list(Code))
def test_each_code_has_the_librarys_name_and_a_class(code):
    assert _core.code_name(code).upper() in (code.name.replace("_", ""), "CANCELED")
    error = make(code=code, hop=Hop.API)
    assert error.code is code and error.hop is Hop.API
    if code not in (Code.OK, Code.UNKNOWN):
        assert type(error) is _errors.BY_CODE[code] is not libdepot.Error


@pytest.mark.parametrize("hop", list(Hop))
def test_each_hop_has_the_librarys_name(hop):
    assert _core.hop_name(hop) == hop.name.lower()


@pytest.mark.parametrize("code, hop, expected", [
    (Code.UNKNOWN, Hop.SOLVE, libdepot.SolveError),
    (Code.NOT_FOUND, Hop.SOLVE, libdepot.SolveError),
    (Code.NOT_FOUND, Hop.LOCAL, libdepot.NotFoundError),
    (Code.CANCELLED, Hop.SOLVE, libdepot.CanceledError),
    (Code.DEADLINE_EXCEEDED, Hop.SOLVE, libdepot.DeadlineExceededError),
    (Code.UNAVAILABLE, Hop.SOLVE, libdepot.UnavailableError),
    (Code.CANCELLED, Hop.CALLBACK, libdepot.CallbackError),
    (Code.ABORTED, Hop.CALLBACK, libdepot.CallbackError),
    (Code.UNKNOWN, Hop.REGISTRY, libdepot.Error),
    (999, 999, libdepot.Error),
])
def test_the_class_follows_hop_and_code(code, hop, expected):
    error = make(code=code, hop=hop)
    assert type(error) is expected


def test_fields():
    error = make(exit_code=3, hint="do this", text="all of it", vertex="sha256:1", log_tail="no\n", user_code=7,
                 sources=[("Dockerfile", b"RUN x", [(1, 0, 1, 5)])], details=[("type", b"bytes")])
    assert (error.message, error.hint, error.exit_code, error.user_code) == ("it failed", "do this", 3, 7)
    assert error.sources == (libdepot.Source("Dockerfile", b"RUN x", (libdepot.Range(1, 0, 1, 5),)),)
    assert error.ranges[0].start_line == 1
    assert str(error) == "all of it"
    assert make(exit_code=-1).exit_code is None
    assert str(make(hint="do this")) == "it failed\ndo this"
    hint = "the callback returned 7: to go on it has to return None"
    assert str(make(user_code=7)) == str(make(user_code=7, text="it failed")) == f"it failed\n{hint}"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_errors_can_be_copied_and_sent(again):
    error = make(code=Code.UNKNOWN, hop=Hop.SOLVE, exit_code=3, vertex="sha256:1",
                 sources=[("Dockerfile", b"RUN x", [(1, 0, 1, 5)])])
    other = again(error)
    assert type(other) is libdepot.SolveError
    assert other.__dict__ == error.__dict__ and other.args == error.args


def test_an_address_that_is_none():
    with pytest.raises(libdepot.InvalidArgumentError) as raised:
        libdepot.Client(builder="gopher://x")
    assert raised.value.hop is Hop.USAGE and "gopher" in raised.value.message


def test_a_closed_client_says_so():
    client = libdepot.Client(builder="local")
    client.close()
    client.close()
    with pytest.raises(libdepot.FailedPreconditionError, match="client is closed"):
        client.build(".")
    with pytest.raises(libdepot.FailedPreconditionError, match="client is closed"):
        client.builder  # noqa: B018


def test_a_text_with_a_nul_is_refused():
    with pytest.raises(ValueError, match="null"):
        libdepot.Client(token="a\0b")


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_a_positive_number(timeout):
    with pytest.raises(ValueError, match="timeout"):
        libdepot.build(".", builder="local", timeout=timeout)
