"""Exposures of a client: from when on, of which flags, and after changes; what a snapshot is without them."""

from __future__ import annotations

import asyncio

import pytest

from payaid_entitlements import Exposure
from payaid_entitlements.core.flags.model import FlagSet, Rollout, Rule
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import EARLIEST
from payaid_entitlements.errors import ConfigurationError
from tests.openfeature.stage import ON_OFF, Stage, a_flag


class Kept:
    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def expose(self, exposure: Exposure) -> None:
        self.said.append((exposure.flag, exposure.variant, exposure.targeting_key))


def test_nobody_is_told_until_somebody_listens(stage):
    view = stage.ent.tenant("pro")
    plain = stage.ent._near.flags.flags["new-checkout"].evaluate
    sink = Kept()

    stage.ent.on_exposure(sink)

    assert view._flags.flags["new-checkout"].evaluate is plain
    view.flag("new-checkout")
    assert sink.said == []
    assert stage.ent.tenant("pro").flag("new-checkout") is view.flag("new-checkout")
    assert [flag for flag, _, _ in sink.said] == ["new-checkout"]


def test_whoever_listens_before_anything_was_asked_hears_of_it(stage):
    client, first, second = stage.client(), Kept(), Kept()
    client.on_exposure(first)
    client.on_exposure(second, flags=["plain"])

    view = client.tenant("pro")
    view.flag("for-pro")
    view.flag("plain")
    view.flag("plain")

    assert first.said == [("for-pro", "on", "pro"), ("plain", "on", "pro")]
    assert second.said == [("plain", "on", "pro")]


def test_after_a_change_it_goes_on(stage):
    sink = Kept()
    stage.ent.on_exposure(sink, flags=["plain"])
    stage.ent.tenant("pro").flag("plain")
    stage.put({"plain": a_flag("plain", ON_OFF, "off")})
    stage.ent.tenant("pro").flag("plain")

    assert sink.said == [("plain", "on", "pro"), ("plain", "off", "pro")]


def test_a_feature_that_a_flag_narrows_shows_it(stage):
    sink = Kept()
    stage.ent.on_exposure(sink, flags=["crm-at-all"])
    stage.put({"crm-at-all": a_flag("crm-at-all", ON_OFF, "off", narrows=("crm",))})

    assert not stage.ent.check("pro", "crm").allowed
    assert sink.said == [("crm-at-all", "off", "pro")]


def test_it_is_told_again_after_a_while(stage):
    sink = Kept()
    stage.ent.on_exposure(sink, flags=["plain"], per=60)
    for _ in range(3):
        stage.ent.tenant("pro").flag("plain")
        stage.clock.advance(seconds=40)

    assert len(sink.said) == 2


def test_a_sample_of_none_hears_nothing(stage):
    sink = Kept()
    stage.ent.on_exposure(sink, sample="0%")
    stage.ent.tenant("pro").flag("plain")

    assert sink.said == []


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"flags": "plain"}, TypeError),
        ({"sample": "half"}, ConfigurationError),
        ({"sample": "101%"}, ConfigurationError),
        ({"per": 0}, ConfigurationError),
        ({"per": float("nan")}, ConfigurationError),
    ],
)
def test_what_makes_no_sense_is_refused(stage, how, error):
    with pytest.raises(error):
        stage.ent.on_exposure(Kept(), **how)


def test_a_client_that_is_awaited_tells_too(stage):
    async def run(sink: Kept) -> None:
        async with stage.async_client() as client:
            client.on_exposure(sink)
            (await client.tenant("pro")).flag("plain")

    sink = Kept()
    asyncio.run(run(sink))
    assert sink.said == [("plain", "on", "pro")]


def test_a_swap_is_told_with_what_was_before(stage: Stage):
    near = stage.client()._near
    told: list[tuple[object, object]] = []
    end = near.watch_flags(lambda before, now: told.append((before, now)))
    client = stage.opened[-1]
    client.tenant("pro")
    first = near.flags
    stage.put({"plain": None})
    client.tenant("pro")
    end()
    stage.put({"plain": None})
    client.tenant("pro")

    assert told == [(None, first), (first, told[1][1])]
    assert isinstance(told[1][1], FlagSnapshot)
    assert FlagSnapshot.of({}, FlagSet()).origin is None


def test_a_user_who_is_named_in_the_question_is_shown_it_too(stage):
    """Though a plain percentage is asked without a context while nobody listens."""
    everybody = Rule("r", "on", rollout=Rollout(((EARLIEST, 100_000),)))
    stage.put({"plain": a_flag("plain", ON_OFF, "off", everybody, bucket_by="user")})
    sink = Kept()
    assert "plain" in stage.ent.tenant("pro")._flags.of_user
    stage.ent.on_exposure(sink, flags=["plain"])
    view = stage.ent.tenant("pro")
    assert view.flag("plain", user="ann")
    assert view.flag("plain", user="bob")
    assert [(flag, variant) for flag, variant, _ in sink.said] == [("plain", "on")] * 2
