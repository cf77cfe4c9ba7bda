"""What guards take from arguments: found wherever it stands, never confused, never a name for nobody."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards.naming import argument, naming

UID = UUID(int=7)


@dataclass
class Job:
    id: object
    pages: int = 3


def run(job_id, path="a.csv", /, *rest, job=None, **more): ...


def name(text, *args, is_constant_allowed=False, **kwargs):
    return naming(run, text, "operation", is_constant_allowed=is_constant_allowed)(args, kwargs)


@pytest.mark.parametrize(
    ("text", "args", "kwargs", "expected"),
    [
        ("import:{job_id}", (7,), {}, "import:7"),
        ("import:{job_id}", ("x:y",), {}, "import:x:y"),
        ("import:{path}", (7,), {}, "import:a.csv"),
        ("import:{job.id}", (7,), {"job": Job(UID)}, f"import:{UID}"),
        ("{job_id}!", (7,), {}, "7!"),
        ("{{{job_id}}}", (7,), {}, "{7}"),
    ],
)
def test_arguments_are_written_into_the_name(text, args, kwargs, expected):
    """By position, by name, by default, and what is taken of them."""
    assert name(text, *args, **kwargs) == expected


def test_a_name_of_several_arguments_is_never_that_of_others():
    """What stands between them is written otherwise inside of them."""
    assert name("{job_id}:{path}", "a:b", "c") == "a%3Ab:c"
    assert name("{job_id}:{path}", "a", "b:c") == "a:b%3Ac"
    assert name("{job_id}→{path}", "a→", "%") == "a%E2%86%92→%25"


@given(
    *(st.text("a:%-→", min_size=1, max_size=4) for _ in range(4)),
    st.sampled_from([":", "-", "::", "→", "%", "a", "-:"]),
)
def test_no_two_calls_share_a_name(one, two, three, four, between):
    """Whatever the arguments are made of."""
    text = "{job_id}" + between + "{path}"
    assert (name(text, one, two) == name(text, three, four)) is ((one, two) == (three, four))


@pytest.mark.parametrize("value", [None, True, False, 1.5, b"x", "", "None", "undefined", ("a",), Job(1)])
def test_an_argument_that_identifies_nothing_is_a_type_error(value):
    """``import:None`` would be one import for all that follow."""
    with pytest.raises(TypeError, match="job_id"):
        name("import:{job_id}", value)


def test_a_call_without_the_argument_and_a_name_that_is_too_long_are_type_errors():
    """In the words of the function."""
    with pytest.raises(TypeError, match=r"run\(\) was called without 'job_id'"):
        name("import:{job_id}")
    assert len(name("{job_id}", "x" * 248)) == 248
    with pytest.raises(TypeError, match="249 characters"):
        name("{job_id}", "x" * 249)
    with pytest.raises(TypeError, match="operation"):
        name("a\n{job_id}", 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import:{jobid}", "no such parameter; it has job_id, path, rest, job, more"),
        ("import:{rest}", "several arguments"),
        ("import:{more}", "several arguments"),
        ("import:{}", "in braces and nothing else"),
        ("import:{0}", "in braces and nothing else"),
        ("import:{job_id!r}", "in braces and nothing else"),
        ("import:{job_id:>5}", "in braces and nothing else"),
        ("import:{job[id]}", "in braces and nothing else"),
        ("import:{job.}", "in braces and nothing else"),
        ("import:{job_id", "expected '}'"),
        ("import:{job_id}{path}", "something between"),
        ("import", "names no argument"),
    ],
)
def test_a_name_that_cannot_work_fails_when_the_guard_is_put_on(text, message):
    """Not at the first call."""
    with pytest.raises(ConfigurationError, match=message):
        naming(run, text, "operation", is_constant_allowed=False)


def test_a_holder_may_be_the_same_for_all_calls():
    """One slot for one integration."""
    assert name("slack", is_constant_allowed=True) == "slack"


def test_an_amount_is_found_as_a_whole():
    """As it is: it is looked at by who takes it."""
    assert argument(run, "job.pages", "amount")((1,), {"job": Job(1)}) == 3
    assert argument(run, "job_id", "amount")((None,), {}) is None
