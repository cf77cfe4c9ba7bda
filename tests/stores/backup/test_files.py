"""A file is whole, or nothing is made of it."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import zlib

import pytest

from payaid_entitlements.errors import BackupInvalid, StoreIncomplete, StoreNotEmpty, StoreUnavailable
from payaid_entitlements.stores.backup import export_to, files, import_from, verify, walking
from payaid_entitlements.stores.backup.lines import Header, Tally
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.testing.contracts.writes import everything
from payaid_entitlements.testing.faults import FaultyStore
from tests.stores.backup.conftest import change, forget, written


@pytest.fixture
def sqlite(sqlite_url):
    store = open_store(sqlite_url)
    yield store
    store.close()


def refused(content: bytes, store, message: str = "backup") -> None:
    """Nobody takes *content*: neither as a stream nor as a file, and *store* stays empty."""
    with pytest.raises(BackupInvalid, match=message):
        verify(io.BytesIO(content))
    with pytest.raises(BackupInvalid, match=message):
        import_from(store, io.BytesIO(content))
    assert everything(store) == everything(MemoryStore())


def signed(*between: bytes, header: bytes | None = None, kinds: tuple[str, ...] = ()) -> bytes:
    """A file whose checksum is right, whatever is in it."""
    first = Header("now", "somewhere").line() if header is None else header
    tally = Tally(first)
    for line, kind in zip(between, kinds or ["change"] * len(between), strict=True):
        tally.add(kind, line)
    return b"".join((first, *between, tally.last()))


# -- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["payaid.jsonl", "payaid.jsonl.gz"])
def test_a_file_is_for_its_owner_and_of_the_same_content(full, tmp_path, name):
    file = tmp_path / name
    before = os.umask(0)
    try:
        content = export_to(full, file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert verify(file) == content
    assert (content.changes, content.tenants, content.source) == (7, 3, "memory")
    plain = gzip.decompress(file.read_bytes()) if name.endswith(".gz") else file.read_bytes()
    first, *rest = plain.splitlines(keepends=True)
    assert json.loads(first)["made"] == content.made
    assert rest[:-1] == written(full).splitlines(keepends=True)[1:-1]
    assert json.loads(rest[-1])["content"] == content.sha256


def test_what_is_there_is_not_replaced(full, tmp_path):
    file = tmp_path / "payaid.jsonl"
    file.write_text("mine")
    with pytest.raises(FileExistsError, match="a backup replaces no file"):
        export_to(full, file)
    assert file.read_text() == "mine"


def test_an_outage_in_the_middle_leaves_no_file(full, tmp_path, monkeypatch):
    monkeypatch.setattr(walking, "PAGE", 2)
    store = FaultyStore(full)
    calls = []

    def before(name):
        calls.append(name)
        if calls.count("audit") == 2:
            store.faults.is_down = True

    store.faults.before = before
    with pytest.raises(StoreUnavailable):
        export_to(store, tmp_path / "payaid.jsonl")
    assert list(tmp_path.iterdir()) == []


def _forgetting(store, times):
    """Forget somebody in the middle of each of the next so many walks."""
    wanted = [f"gone-{number}" for number in range(times)]
    for tenant in wanted:
        change(store, tenant)
    faulty = FaultyStore(store)
    begun = []

    def before(name):
        if name == "changes_since":
            begun.append(True)
        elif name == "listed" and begun and wanted:
            begun.clear()
            change(store, "acme")  # or nothing would be behind the end of the log
            forget(store, wanted.pop())

    faulty.faults.before = before
    return faulty


def test_a_file_is_begun_anew_when_somebody_is_forgotten(full, tmp_path):
    store = _forgetting(full, files.MOST_TRIES - 1)
    export_to(store, tmp_path / "payaid.jsonl")
    assert "gone-0" in (tmp_path / "payaid.jsonl").read_text()
    copy = MemoryStore()
    import_from(copy, tmp_path / "payaid.jsonl")
    assert everything(copy) == everything(full)


def test_but_not_without_end(full, tmp_path):
    store = _forgetting(full, files.MOST_TRIES)
    with pytest.raises(StoreUnavailable, match="was forgotten"):
        export_to(store, tmp_path / "payaid.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_got_somebody_who_was_forgotten_is_refused(full, sqlite):
    stream = io.BytesIO()
    with pytest.raises(StoreUnavailable, match="was forgotten"):
        export_to(_forgetting(full, 1), stream)
    refused(stream.getvalue(), sqlite, "cut short|does not begin")


# -- reading ----------------------------------------------------------------------------------------------------------


def test_a_stream_stays_open_and_may_be_compressed(full):
    for content in (written(full), gzip.compress(written(full))):
        stream, store = io.BytesIO(content), MemoryStore()
        import_from(store, stream)
        assert not stream.closed
        assert everything(store) == everything(full)


def test_lines_are_told(full, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PAGE", 5)
    told = []
    export_to(full, tmp_path / "payaid.jsonl", told=lambda *each: told.append(each))
    assert told == [(7, 7)]
    told.clear()
    store = MemoryStore()
    import_from(store, tmp_path / "payaid.jsonl", told=lambda *each: told.append(each))
    assert told == [(5, None), (10, None), (14, None), (5, 14), (10, 14), (14, 14)]
    told.clear()
    export_to(store, io.BytesIO(), told=lambda *each: told.append(each))
    # Positions have a hole now: how many changes there are is not known.
    assert told == [(7, None)]


def test_a_store_in_use_is_refused(full, tmp_path):
    export_to(full, tmp_path / "payaid.jsonl")
    before = everything(full)
    with pytest.raises(StoreNotEmpty, match="memory is not empty"):
        import_from(full, tmp_path / "payaid.jsonl")
    assert everything(full) == before


def test_a_store_that_was_filled_in_part_is_what_is_mended(full, tmp_path, monkeypatch):
    export_to(full, tmp_path / "payaid.jsonl")
    store = MemoryStore()

    def prepare():
        raise StoreIncomplete("run it again")

    monkeypatch.setattr(store, "prepare", prepare)
    import_from(store, tmp_path / "payaid.jsonl")
    assert everything(store) == everything(full)
    with pytest.raises(StoreIncomplete):
        export_to(store, tmp_path / "other.jsonl")


def test_each_bit_that_is_flipped_is_noticed(full, sqlite):
    """One in each line, and each of the last line and of the first."""
    sqlite.prepare()
    content = written(full)
    starts = [0] + [place + 1 for place, byte in enumerate(content[:-1]) if byte == 10]
    places = {start + length // 2 for start, length in zip(starts, map(len, content.splitlines()), strict=True)}
    places |= {place - 1 for place in starts[1:]}  # the ends of lines
    places |= set(range(starts[1])) | set(range(starts[-1], len(content)))
    for place in sorted(places):
        broken = bytearray(content)
        broken[place] ^= 1
        with pytest.raises(BackupInvalid):
            verify(io.BytesIO(bytes(broken)))
    for place in sorted(places)[:: len(places) // 12]:
        broken = bytearray(content)
        broken[place] ^= 1
        refused(bytes(broken), sqlite)


def test_a_file_that_is_cut_short_is_noticed(full, sqlite):
    sqlite.prepare()
    content = written(full)
    ends = {place + more for place, byte in enumerate(content) if byte == 10 for more in (0, 1)}
    for length in sorted((ends | set(range(0, len(content), 11))) - {len(content)}):
        with pytest.raises(BackupInvalid):
            verify(io.BytesIO(content[:length]))
    refused(content[: len(content) // 2], sqlite, "cut short: it ends behind line")
    refused(b"".join(content.splitlines(keepends=True)[:-1]), sqlite, "cut short")


@pytest.mark.parametrize("change", ["swapped", "doubled", "left out", "appended"])
def test_lines_that_are_not_in_their_places_are_noticed(full, sqlite, change):
    sqlite.prepare()
    content = written(full).splitlines(keepends=True)
    match change:
        case "swapped":
            content[2], content[3] = content[3], content[2]
        case "doubled":
            content.insert(4, content[4])
        case "left out":
            del content[3]
        case "appended":
            content.append(content[1])
    refused(b"".join(content), sqlite, "damaged|not in its place")


def test_a_compressed_file_that_is_damaged_is_noticed(full, sqlite):
    sqlite.prepare()
    packed = gzip.compress(written(full), mtime=0)
    for length in range(2, len(packed) - 1, 7):
        with pytest.raises(BackupInvalid):
            verify(io.BytesIO(packed[:length]))
    for place in range(20, len(packed), 7):
        broken = bytearray(packed)
        broken[place] ^= 4
        if not _says_the_same(bytes(broken), packed):
            with pytest.raises(BackupInvalid):
                verify(io.BytesIO(bytes(broken)))
    refused(packed[: len(packed) // 2], sqlite, "cannot be read")


def _says_the_same(broken, packed):
    """Bits that fill up a last byte say nothing."""
    try:
        return gzip.decompress(broken) == gzip.decompress(packed)
    except (EOFError, OSError, zlib.error):
        return False


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"a text\n",
        b"[1]\n",
        b'{"payaid_backup":1}\n',
        b'{"payaid_backup":"1","needs":"1","kinds":[]}\n',
        b"[" * 100_000,
        b"SQLite format 3\x00" * 100,
        bytes(1_000_000),
        b"\xff\xfe",
        b"\x1f\x8b\x08nonsense",
    ],
    ids=str,
)
def test_what_is_no_backup_is_refused(sqlite, content):
    sqlite.prepare()
    refused(content, sqlite, "no backup|cannot be read")


@pytest.mark.parametrize("change", [{"payaid_backup": 2}, {"kinds": ["change", "tokens"]}, {"kinds": [1]}], ids=str)
def test_a_file_of_a_later_release_names_it(full, sqlite, change):
    sqlite.prepare()
    data = json.loads(Header("now", "somewhere").line()) | change | {"needs": "0.9.0"}
    content = signed(header=json.dumps(data).encode() + b"\n")
    refused(content, sqlite, "later release: install payaid-entitlements 0.9.0 or later")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'{"usage":{}}\n', "change"),
        (b'{"change":{}}\n', "change"),
        (b'{"change":[]}\n', "change"),
        (b'{"change":{}\n', "change"),
        (b'{"change":' + b"[" * 100_000 + b"\n", "change"),
        (b'{"tenant":{}}\n', "tenant"),
        (b'{"tenant":{"document":{"tenant":"acme"},"listed":null}}\n', "tenant"),
        (b'{"catalog":{}}\n', "catalog"),
        (b'{"controls":{"schema":1}}\n', "controls"),
        (b"{}\n", "change"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_nonsense_with_a_checksum_is_nonsense(sqlite, line, kind):
    sqlite.prepare()
    refused(signed(line, kinds=(kind,)), sqlite, "line 2 of the backup is damaged")


def test_changes_are_in_their_order_also_where_the_checksum_is_right(full, sqlite):
    sqlite.prepare()
    changes = [line for line in written(full).splitlines(keepends=True) if line.startswith(b'{"change":')]
    refused(signed(changes[1], changes[0]), sqlite, "line 3 of the backup is not in its place")
    refused(signed(changes[0], changes[0]), sqlite, "line 3 of the backup is not in its place")


def test_a_file_is_checked_before_the_store_is_asked(full, tmp_path):
    file = tmp_path / "payaid.jsonl"
    file.write_bytes(written(full)[:-2])
    store = FaultyStore(MemoryStore())
    with pytest.raises(BackupInvalid):
        import_from(store, file)
    assert store.faults.calls == []
    with pytest.raises(FileNotFoundError):
        import_from(store, tmp_path / "nothing")
    assert store.faults.calls == []


def test_a_file_that_changes_between_two_readings_is_refused(full, tmp_path):
    file = tmp_path / "payaid.jsonl"
    export_to(full, file)
    store = MemoryStore()

    def told(done, total):
        if total is None:
            file.write_bytes(file.read_bytes().replace(b'"acme"', b'"acmf"'))

    with pytest.raises(BackupInvalid, match="checksum"):
        import_from(store, file, told=told)
    assert everything(store) == everything(MemoryStore())


def test_something_that_is_written_meanwhile_wins(full):
    """Nobody's change is lost to a backup that was read in at the same time."""
    store = MemoryStore()

    def told(done, total):
        change(store, "acme")

    with pytest.raises(StoreNotEmpty):
        import_from(store, io.BytesIO(written(full)), told=told)
    assert [row.tenant for row in store.find()] == ["acme"]


def test_what_is_told_to_others_no_more_stays_untold(full):
    full._content.outbox.clear()
    store = MemoryStore()
    import_from(store, io.BytesIO(written(full)))
    assert store.outbox() == []
    assert everything(store) == everything(full)
