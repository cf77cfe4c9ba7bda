"""
The pytest plugin: fixtures `entitlements` and `clock`, the marker `override`, the ini option `payaid_entitlements`.

It is loaded in every pytest of an environment in which the library is installed: nothing optional is imported, no
client is touched, until a test asks for a fixture.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
    from payaid_entitlements.testing.clock import FakeClock
    from payaid_entitlements.testing.sandbox import Sandbox

_INI = "payaid_entitlements"
#: What was counted when the sandbox was made.
_MISREAD = pytest.StashKey[Mapping[tuple[str, ...], int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(_INI, "where your Entitlements or AsyncEntitlements is, as 'app.main:ent'", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers", "override(tenant, feature, to): set an entitlement override for the time of the test"
    )


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the sandbox: the real time until the test moves it."""
    from payaid_entitlements.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def entitlements(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Sandbox]:
    """
    Your own client, named in pytest's ini, on memory and a test clock.

    A test in which a `Decision` was used as a truth value fails, also where the ``TypeError`` was swallowed, as
    Django's templates do.
    """
    from payaid_entitlements.core.observing import MISREAD
    from payaid_entitlements.testing.sandbox import sandbox

    with sandbox(_client(request.config.getini(_INI)), clock=clock) as inside:
        # The closest one comes first, and is to be the last word.
        for mark in reversed(list(request.node.iter_markers("override"))):
            inside.override(*mark.args, **mark.kwargs)
        request.node.stash[_MISREAD] = MISREAD.counts()
        yield inside


@pytest.fixture(autouse=True)
def _override_marker(request: pytest.FixtureRequest) -> None:
    # A test with the marker gets the sandbox, whether it names the fixture or not. Where no client is named, the marker
    # is somebody else's.
    if request.node.get_closest_marker("override") is not None and request.config.getini(_INI):
        request.getfixturevalue("entitlements")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test in the sandbox that used a decision as a truth value, whoever swallowed the error."""
    yield
    before = item.stash.get(_MISREAD, None)
    if before is not None:
        from payaid_entitlements.core.observing import MISREAD

        misread = sorted(key[-1] for key, count in MISREAD.counts().items() if count != before.get(key, 0))
        if misread:
            pytest.fail(
                f"a Decision was used as a truth value; use .allowed (asked: {', '.join(misread)})", pytrace=False
            )


def _client(place: str) -> Entitlements | AsyncEntitlements:
    from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements

    module, _, name = place.partition(":")
    if not module or not name:
        raise pytest.UsageError(
            f'{_INI} in pytest\'s ini is {place!r}; write where your client is, as {_INI} = "app.main:ent"'
        )
    imported = importlib.import_module(module)
    try:
        found = attrgetter(name)(imported)
    except AttributeError as error:
        raise pytest.UsageError(f"{_INI} = {place!r} in pytest's ini: {error}") from error
    if not isinstance(found, Entitlements | AsyncEntitlements):
        raise pytest.UsageError(f"{place} is a {type(found).__name__}, neither Entitlements nor AsyncEntitlements")
    return found
