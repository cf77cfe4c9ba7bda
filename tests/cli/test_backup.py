"""`payaid export` and `payaid import`, as an operator types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.testing.contracts.writes import everything
from tests.cli.conftest import Terminal
from tests.cli.test_processes import PAYAID

OTHER = "sqlite:///other.db"


def _same(one: str, other: str) -> bool:
    stores = [open_store(url) for url in (one, other)]
    try:
        return everything(stores[0]) == everything(stores[1])
    finally:
        for store in stores:
            store.close()


def test_all_moves_to_another_database(terminal: Terminal) -> None:
    exported = terminal.run("export", "backup.jsonl.gz")
    assert (exported.code, exported.err) == (0, "")
    assert exported.out.startswith("exported 11 tenants and ")
    assert " from sqlite:///payaid.db in " in exported.out
    imported = terminal.run("import", "backup.jsonl.gz", "--url", OTHER)
    assert (imported.code, imported.err) == (0, "")
    assert imported.out.startswith("imported 11 tenants and ")
    assert " into sqlite:///other.db in " in imported.out
    assert "from sqlite:///payaid.db, 20" in imported.out
    assert _same("sqlite:///payaid.db", OTHER)
    there, here = terminal.run("check", "kaveri", "crm", "--url", OTHER), terminal.run("check", "kaveri", "crm")
    assert there.out.replace("other.db", "payaid.db") == here.out
    assert terminal.run("doctor", "--url", OTHER).code == 0


def test_programs_are_told_in_json(terminal: Terminal) -> None:
    exported = terminal.run("export", "backup.jsonl", "--json").data
    whole = terminal.run("import", "backup.jsonl", "--verify-only", "--json").data
    imported = terminal.run("import", "backup.jsonl", "--url", OTHER, "--json").data
    assert exported == imported | {"database": "sqlite:///payaid.db"}
    assert imported == whole | {"database": "sqlite:///other.db"}
    assert (exported["tenants"], exported["file"], exported["source"]) == (11, "backup.jsonl", "sqlite:///payaid.db")
    assert len(exported["sha256"]) == 64


def test_a_file_is_verified_without_a_store(empty: Terminal, terminal: Terminal) -> None:
    terminal.run("export", "backup.jsonl")
    done = terminal.run("import", "backup.jsonl", "--verify-only", "--url", OTHER)
    assert (done.code, done.out.partition(" in ")[0]) == (0, "whole 11 tenants and 19 changes")
    assert not (terminal.directory / "other.db").exists()
    file = terminal.directory / "backup.jsonl"
    file.write_bytes(file.read_bytes().replace(b"kaveri", b"kavery", 1))
    broken = terminal.run("import", "backup.jsonl", "--verify-only")
    assert broken.code == 2
    assert "the checksum in its last line is not that of the others" in broken.err


def test_a_damaged_file_begins_no_database(terminal: Terminal) -> None:
    terminal.run("export", "backup.jsonl")
    file = terminal.directory / "backup.jsonl"
    file.write_bytes(file.read_bytes()[:-200])
    for name, said in (("backup.jsonl", "cut short"), ("payaid.db", "no backup"), ("nothing", "No such file")):
        done = terminal.run("import", name, "--url", OTHER)
        assert done.code == 2
        assert said in done.err
        assert not (terminal.directory / "other.db").exists()


def test_neither_a_file_nor_a_store_is_overwritten(terminal: Terminal) -> None:
    terminal.run("export", "backup.jsonl")
    again = terminal.run("export", "backup.jsonl")
    assert (again.code, "it is there already" in again.err) == (2, True)
    done = terminal.run("import", "backup.jsonl")
    assert done.code == 2
    assert "sqlite:///payaid.db is not empty" in done.err
    assert "name a new database, schema or prefix with --url" in done.err


def test_a_store_that_is_not_there_is_not_exported(empty: Terminal) -> None:
    done = empty.run("export", "backup.jsonl")
    assert done.code == 2
    assert "there is no payaid.db" in done.err
    assert list(empty.directory.iterdir()) == []


def test_a_pipe_moves_it(terminal: Terminal) -> None:
    exported = terminal.run("export", "-")
    assert json.loads(exported.out.splitlines()[0])["payaid_backup"] == 1
    assert exported.err.startswith("exported 11 tenants and 19 changes from sqlite:///payaid.db")
    imported = terminal.run("import", "-", "--url", OTHER, answers=exported.out + "\n")
    assert imported.code == 0
    assert _same("sqlite:///payaid.db", OTHER)


def test_json_and_a_backup_do_not_share_a_pipe(terminal: Terminal) -> None:
    done = terminal.run("export", "-", "--json")
    assert (done.code, done.out) == (2, "")
    assert "name a file" in done.err


def test_nobody_reads_or_types_a_backup(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    seat = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True), stdout=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("payaid_entitlements.cli.backup.sys", seat)
    for command in ("export", "import"):
        done = terminal.run(command, "-")
        assert done.code == 2
        assert f"`payaid {command} -`" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are those of POSIX")
def test_at_a_terminal_it_is_shown_how_far_it_is(terminal: Terminal) -> None:
    import pty

    for arguments, shown in (
        (["export", "backup.jsonl"], b"writing the backup"),
        (["import", "backup.jsonl", "--url", OTHER], b"reading the backup"),
    ):
        ours, theirs = pty.openpty()
        done = subprocess.Popen(
            [*PAYAID, *arguments],
            cwd=terminal.directory,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        out = _read(ours)
        stdout, _ = done.communicate(timeout=60)
        seen = out()
        assert done.returncode == 0
        assert shown in seen
        assert b"19/19" in seen or b"33/33" in seen
        assert b"ed 11 tenants and 19 changes" in stdout


def _read(terminal: int) -> Callable[[], bytes]:
    """Read all that comes from a pseudo-terminal, in a thread, so that nobody waits for room in it."""
    import threading

    seen: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(terminal, 4096):
                seen.append(part)
        except OSError:
            pass  # the other end is closed

    reader = threading.Thread(target=read)
    reader.start()

    def all_of_it() -> bytes:
        reader.join()
        os.close(terminal)
        return b"".join(seen)

    return all_of_it


def test_the_doctor_finds_the_newest_change_of_a_restored_store(terminal: Terminal) -> None:
    """Its positions have a hole of any size."""
    terminal.later(days=1)
    terminal.changed("override", "set", "kaveri", "hr", "true", "--forever", "--because", "x")
    terminal.run("export", "backup.jsonl")
    terminal.run("import", "backup.jsonl", "--url", OTHER)
    assert terminal.run("doctor", "--url", OTHER).code == 0
    terminal.later(days=-1)
    done = terminal.run("doctor", "--url", OTHER)
    assert (done.code, "a change was recorded" in done.out) == (1, True)
