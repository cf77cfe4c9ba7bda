"""A warm parent forks: its children believe nothing of it, hear for themselves, and see what others commit."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from payaid_entitlements.cache.local import LEASE

CHILDREN = 4


def play(what: str, url: str, *numbers: int) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.forks", what, url, *map(str, numbers)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(done.stdout.splitlines()[-1])


def url_of(backend: str, request: pytest.FixtureRequest, tmp_path: Any) -> str:
    if backend == "sqlite":
        return f"sqlite:///{tmp_path}/payaid.db"
    return str(request.getfixturevalue("ready_url")(backend))


def children_are_right(found: Any, rounds: int) -> None:
    assert found["statuses"] == [0] * CHILDREN
    assert found["was_empty"] == [True] * CHILDREN
    assert found["from_the_future"] == 0
    assert found["final"] == [[rounds] * CHILDREN] * CHILDREN
    assert found["connected"] == [True if found["hears"] else None] * CHILDREN
    assert found["most"] < LEASE


@pytest.mark.parametrize("backend", [pytest.param("sqlite", marks=pytest.mark.soak), "postgresql", "redis"])
def test_children_see_each_others_changes_when_they_are_committed(request, tmp_path, backend: str):
    """Never before, and within the bound; the parent too."""
    children_are_right(play("change", url_of(backend, request, tmp_path), CHILDREN, 20), 20)


@pytest.mark.soak
@pytest.mark.parametrize("backend", ["sqlite", "postgresql", "redis"])
def test_children_see_each_others_changes_for_long(request, tmp_path, backend: str):
    found = play("change", url_of(backend, request, tmp_path), CHILDREN, 200)
    children_are_right(found, 200)
    if found["hears"]:
        assert found["p99"] < 0.25


# On SQLite nobody may fork while another thread asks: its own locks are not made for it.
@pytest.mark.parametrize("backend", ["postgresql", "redis"])
def test_a_fork_while_locks_are_held_leaves_a_child_that_answers(request, tmp_path, backend: str):
    assert play("locked", url_of(backend, request, tmp_path), 12)["statuses"] == [0] * 12


@pytest.mark.soak
@pytest.mark.parametrize("backend", ["postgresql", "redis"])
def test_many_forks_while_locks_are_held_leave_children_that_answer(request, tmp_path, backend: str):
    assert play("locked", url_of(backend, request, tmp_path), 300)["statuses"] == [0] * 300


@pytest.mark.parametrize("is_async", [0, 1])
def test_what_a_child_has_done_outlives_its_parent(tmp_path, is_async: int):
    """
    On SQLite, locks are the process's: with a connection of its parent open the child would hold none of its own, and
    whoever came and went would take the log away in which the child writes.
    """
    found = play("outlived", f"sqlite:///{tmp_path}/payaid.db", is_async)
    assert found["statuses"] == [0]
    assert found["found"] == [["child", "first", "parent"], ["child", "child-alone", "first", "last", "parent"]]
