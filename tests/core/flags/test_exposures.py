"""Exposures: told once in a window, of a stable sample, in bounded memory, and harmless whatever a sink does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from payaid_entitlements.core.flags import cbor
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagReason
from payaid_entitlements.core.flags.exposures import Exposure, Exposures, exposing
from payaid_entitlements.core.flags.model import PARTS, Flag, FlagSet, FlagType, Progress, Rollout, Rule, Stage
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import EARLIEST
from payaid_entitlements.core.observing import Tally

ON_OFF = {"on": True, "off": False}
HALF = Rule("half", "on", rollout=Rollout(((EARLIEST, PARTS // 2),)))


def flag(key: str, **more: object) -> Flag:
    given = {"default": "off", "off": "off", "salt": key, "rules": (HALF,), **more}
    return Flag(key, FlagType.BOOLEAN, ON_OFF, **given)


def about(tenant: str | None, user: str | None = None, at: int = 0) -> FlagContext:
    return FlagContext(
        tenant=tenant,
        user=user,
        at=at,
        attributes={},
        tenant_text=None if tenant is None else cbor.text(tenant),
        user_text=None if user is None else cbor.text(user),
    )


@dataclass
class Kept:
    """A sink that keeps what it is told."""

    said: list[Exposure] = field(default_factory=list)

    def expose(self, exposure: Exposure) -> None:
        self.said.append(exposure)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def listening(sink, clock, **how):
    given = {"flags": None, "sample": PARTS, "per": 60.0, "observer": Tally(), **how}
    return Exposures(sink, clock=clock, **given)


PLAIN = FlagSnapshot.of(
    {
        "new": flag("new", narrows=("crm",)),
        "other": flag("other", bucket_by="user"),
        "off": flag("off", enabled=False),
        "caller": flag("caller", default=None, rules=()),
    },
    FlagSet(progress={"other": Progress("half", Stage.RUNNING, 0, 0, attempt=3)}),
)


def test_nobody_listens_to_a_snapshot_that_was_not_wrapped():
    """
    The functions are the flags' own: no question whether somebody listens taxes them.
    """
    assert PLAIN.origin is None
    assert exposing(PLAIN, []).origin is PLAIN
    assert exposing(PLAIN, []).flags["new"].evaluate is PLAIN.flags["new"].evaluate


def test_an_exposure_says_what_was_shown_to_whom(clock):
    sink = Kept()
    snapshot = exposing(PLAIN, [listening(sink, clock)])

    shown = snapshot.flags["other"].evaluate(about("acme", "ann", at=1_000_000))

    assert shown is PLAIN.flags["other"].evaluate(about("acme", "ann"))
    at = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    rule = "half" if shown.value else None
    assert sink.said == [Exposure("other", shown.variant, rule, shown.reason, "ann", "acme", "ann", 3, at)]


def test_it_is_told_once_in_a_window(clock):
    sink = Kept()
    ask = exposing(PLAIN, [listening(sink, clock)]).flags["new"].evaluate

    for tenant in ["acme", "acme", "globex", "acme"]:
        ask(about(tenant))
    assert [each.targeting_key for each in sink.said] == ["acme", "globex"]

    clock.now += 59
    ask(about("acme"))
    assert len(sink.said) == 2
    clock.now += 1
    ask(about("acme"))
    assert [each.targeting_key for each in sink.said] == ["acme", "globex", "acme"]


def test_another_attempt_is_another_exposure(clock):
    sink = Kept()
    listens = listening(sink, clock)
    for attempt in (1, 2):
        progress = {"new": Progress("half", Stage.RUNNING, 0, 0, attempt=attempt)}
        exposing(FlagSnapshot.of({"new": flag("new")}, FlagSet(progress=progress)), [listens]).flags["new"].evaluate(
            about("acme")
        )
    assert [each.attempt for each in sink.said] == [1, 2]


def test_who_was_shown_nothing_of_the_flag_takes_no_part(clock):
    sink = Kept()
    flags = exposing(PLAIN, [listening(sink, clock)]).flags

    assert flags["off"].evaluate(about("acme")).reason is FlagReason.DISABLED
    assert flags["caller"].evaluate(about("acme")).variant is None
    assert flags["other"].evaluate(about("acme")).variant == "off"
    assert sink.said == []


def test_a_sink_hears_of_the_flags_that_it_wants_and_several_hear(clock):
    all_of_them, some = Kept(), Kept()
    snapshot = exposing(PLAIN, [listening(all_of_them, clock), listening(some, clock, flags=["other"])])

    snapshot.flags["new"].evaluate(about("acme", "ann"))
    snapshot.flags["other"].evaluate(about("acme", "ann"))

    assert [each.flag for each in all_of_them.said] == ["new", "other"]
    assert [each.flag for each in some.said] == ["other"]


def test_what_refuses_a_feature_is_shown_too(clock):
    sink = Kept()
    (narrowing,) = exposing(PLAIN, [listening(sink, clock)]).narrowing["crm"]

    narrowing.evaluate(about("acme"))

    assert [each.flag for each in sink.said] == ["new"]


def test_a_sample_is_of_ids_the_same_in_every_process_and_independent_of_the_arm(clock):
    samples = []
    for _ in range(2):
        sink = Kept()
        ask = exposing(PLAIN, [listening(sink, clock, sample=PARTS // 4)]).flags["new"].evaluate
        for number in range(4000):
            ask(about(f"tenant-{number}"))
        samples.append(sink.said)

    assert samples[0] == samples[1]
    assert 850 < len(samples[0]) < 1150
    assert 350 < sum(each.variant == "on" for each in samples[0]) < 650


def test_memory_is_bounded_and_nothing_is_lost(clock):
    sink = Kept()
    listens = listening(sink, clock, bound=100)
    ask = exposing(PLAIN, [listens]).flags["new"].evaluate

    for number in range(1000):
        ask(about(f"tenant-{number}"))
        assert len(listens._told) <= 100

    assert len({each.targeting_key for each in sink.said}) == 1000


def test_what_a_sink_raises_is_counted_and_the_flag_has_its_answer(clock):
    class Broken:
        def expose(self, exposure: Exposure) -> None:
            raise OSError("full")

    tally = Tally()
    ask = exposing(PLAIN, [listening(Broken(), clock, observer=tally)]).flags["new"].evaluate

    assert ask(about("acme")) is PLAIN.flags["new"].evaluate(about("acme"))
    assert tally.counts() == {("flag.exposure_lost", "new"): 1}


def test_threads_that_show_the_same_tell_it_once(clock):
    sink = Kept()
    ask = exposing(PLAIN, [listening(sink, clock)]).flags["new"].evaluate
    threads = [
        threading.Thread(target=lambda: [ask(about(f"tenant-{number}")) for number in range(300)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(sink.said) == 300
