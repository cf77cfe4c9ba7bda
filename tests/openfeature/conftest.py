"""Fixtures of the tests of OpenFeature and OFREP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.provider import FeatureProvider

from tests.openfeature.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.fixture
def asking(request) -> Iterator[Callable[..., OpenFeatureClient]]:
    """Sets a provider for this test alone, and gives a client of it."""
    domain = request.node.nodeid

    def ask(provider: FeatureProvider, *, wait: bool = True) -> OpenFeatureClient:
        (api.set_provider_and_wait if wait else api.set_provider)(provider, domain=domain)
        return api.get_client(domain)

    ask.client = lambda: api.get_client(domain)  # type: ignore[attr-defined]
    yield ask
    api.clear_providers()
