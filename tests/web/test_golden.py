"""Sixty errors are told to clients as they always were, and as standards say; by every framework in the same bytes."""

from __future__ import annotations

import json

import pytest

from tests.web.across import ADAPTERS
from tests.web.golden.__main__ import GOLDEN, answered
from tests.web.golden.errors import CASES, furnished
from tests.web.golden.reading import read

#: Of the server, or of the connection. All else that a response has is ours, and golden.
NOT_OURS = {"content-length", "date", "server", "connection"}


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_there_are_sixty():
    assert len(CASES) == 60


def test_answers_are_the_golden_ones(golden):
    """
    A difference is a change that clients see: look at it, then `python -m tests.web.golden` writes it anew.
    """
    told = answered()

    assert told.keys() == golden.keys()
    for name, said in told.items():
        assert said == golden[name], name


@pytest.mark.parametrize("name", CASES)
def test_a_golden_answer_says_what_was_written_by_hand(golden, name):
    """
    Read by a reader that knows the standards and not the library.
    """
    case = CASES[name]
    said = golden[name]
    told = read(said["status"], said["headers"], said["body"].encode())

    assert told.status == case.status
    assert told.language == case.answered_in
    assert told.is_page is ("in a browser" in name)
    assert told.reason == ("" if told.is_page else case.reason)


@pytest.mark.parametrize("name", ADAPTERS)
def test_all_frameworks_say_the_same(golden, name):
    numbered = list(CASES)

    def endpoint(path: str) -> None:
        raise CASES[numbered[int(path)]].make()

    with furnished() as ent, ADAPTERS[name](ent, endpoint) as ask:
        for number, key in enumerate(numbered):
            case = CASES[key]
            fields = {"X-Tenant": case.tenant, "Accept": case.accept, "Accept-Language": case.language}
            # Clients say what they would rather have, or nothing.
            answer = ask(str(number), {field: value for field, value in fields.items() if value})
            expected = golden[key]
            ours = sorted(each for each in answer.headers if each[0] not in NOT_OURS)
            assert answer.status == expected["status"], key
            assert answer.body == expected["body"].encode(), key
            assert ours == sorted((field.lower(), value) for field, value in expected["headers"].items()), key
