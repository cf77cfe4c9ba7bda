"""What a channel says, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.identity import identify
from payaid_entitlements.stores.messages import heard, written
from payaid_entitlements.stores.ports import LogEntry, Scope


@pytest.mark.parametrize(
    "entry",
    [
        LogEntry(7, Scope.TENANT, "acme", 3),
        LogEntry(8, Scope.CATALOG, None, 1),
        LogEntry(9, Scope.CONTROLS, None, 2),
        LogEntry(2**62, Scope.TENANT, 'ü"}\\{', 1),
    ],
)
def test_what_is_written_is_heard(entry):
    assert heard(written(entry)) == entry
    assert heard(written(entry).encode()) == entry


def test_a_message_is_a_list_that_scripts_can_write_too():
    assert written(LogEntry(7, Scope.TENANT, "acme", 3)) == '[7,"tenant","acme",3]'


def test_the_longest_tenant_fits_into_a_notification_of_postgresql():
    """PostgreSQL takes less than 8,000 bytes."""
    longest = "\N{GRINNING FACE}" * 255
    identify("tenant", longest)
    assert len(written(LogEntry(2**62, Scope.TENANT, longest, 2**62))) < 3_200
    with pytest.raises(TypeError):
        identify("tenant", longest + "x")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[]",
        "{",
        '[1,"tenant","acme"]',
        '[1,"tenant","acme",2,3]',
        '["1","tenant","acme",2]',
        '[1,"tenant","acme",2.5]',
        '[1,"region","acme",2]',
        '[1,"tenant",null,2]',
        '[1,"catalog","acme",2]',
        '[true,"tenant","acme",1]',
        '[1,"tenant","acme",true]',
        '[-1,"tenant","acme",1]',
        f'[1,"tenant","acme",{2**63}]',
        '[1,"tenant","",1]',
        r'[1,"tenant","\ud800",1]',
        b"\xff\xfe\x00",
        "[" * 100_000,
    ],
)
def test_what_is_none_of_ours_is_no_entry(message):
    assert heard(message) is None


@given(st.one_of(st.text(), st.binary(), st.lists(st.integers() | st.text() | st.none()).map(str)))
def test_no_message_is_an_error(message):
    assert heard(message) is None or isinstance(heard(message), LogEntry)
