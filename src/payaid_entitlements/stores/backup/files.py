"""
Files that all of a store goes into, and comes from. Nothing is believed before its checksum is.

A file is written beside its name, readable by its owner only, and gets the name when it is whole and on the disk. One
that ends in ``.gz`` is compressed. It is read twice: first for its checksum, then into the store. A stream is read
once, and the store forgets all of it if the checksum is wrong.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, cast

from payaid_entitlements.errors import BackupInvalid, StoreIncomplete
from payaid_entitlements.stores.backup.counting import Counted, counted, restored
from payaid_entitlements.stores.backup.lines import Content, Header, Tally, is_last, kind_of, read, read_header, write
from payaid_entitlements.stores.backup.walking import PAGE, ForgottenMeanwhile, walked
from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.stores.ports import KeptChange, Part, Store
from payaid_entitlements.stores.writing import LEAP

#: How often a file is begun anew because somebody was forgotten while it was written.
MOST_TRIES: Final = 5
#: Bytes that the first line may have, and any other one: what is larger is no backup.
_FIRST, _LONGEST = 1 << 16, 1 << 28
_MAGIC: Final = b"\x1f\x8b"
#: Of compression: 6 is what gzip does by itself. More takes far longer for little.
_LEVEL: Final = 6

#: Told how far it is: changes that were written, or lines that were read, of how many; None where that is not known.
Told = Callable[[int, int | None], None]


def _nobody(done: int, total: int | None) -> None:
    """Is told, and says nothing."""


def export_to(store: Store, target: Path | IO[bytes], *, ledger: Ledger | None = None, told: Told = _nobody) -> Content:
    """
    Write all that *store* has, as it is at one moment; it may be written to meanwhile.

    What is used goes in first, tenant by tenant; that is of one moment only where nobody uses anything meanwhile.

    Args:
        ledger: Where usage is counted; None for that of *store*, if it has one.
        target: A file that does not exist yet, or a stream, which gets plain lines and stays open.
        told: Called after each page with the number of changes so far.

    Raises:
        FileExistsError: *target* is there.
        StoreUnavailable: There was no answer; what is stored is damaged; or a tenant was forgotten meanwhile, for a
            file several times in a row. What a stream has got then lacks its last line, and no reader takes it.
    """
    store.prepare()
    ledger = getattr(store, "ledger", None) if ledger is None else ledger
    if not isinstance(target, Path):
        return _write(store, ledger, target, told)
    if target.exists():
        raise FileExistsError(errno.EEXIST, "it is there already, and a backup replaces no file", str(target))
    for _ in range(MOST_TRIES - 1):
        with suppress(ForgottenMeanwhile):
            return _write_file(store, ledger, target, told)
    return _write_file(store, ledger, target, told)


def _write_file(store: Store, ledger: Ledger | None, target: Path, told: Told) -> Content:
    # Readable by its owner only, from the first byte on: names of customers and reasons are in it.
    number, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as file:
            if target.suffix == ".gz":
                # Without name and time: what is equal stays equal.
                with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0) as packed:
                    content = _write(store, ledger, cast("IO[bytes]", packed), told)
            else:
                content = _write(store, ledger, file, told)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
    return content


def _write(store: Store, ledger: Ledger | None, target: IO[bytes], told: Told) -> Content:
    header = Header(datetime.now(UTC).isoformat(timespec="seconds"), store.name)
    first = header.line()
    target.write(first)
    tally = Tally(first)

    def put(part: Part | Counted) -> None:
        kind, line = write(part)
        tally.add(kind, line)
        target.write(line)

    for usage in () if ledger is None else counted(ledger):
        put(usage)
    # As many changes as positions, where the store was never restored.
    end = store.changes_since(None).position
    done = 0
    for parts in walked(store):
        for part in parts:
            put(part)
        done += sum(isinstance(part, KeptChange) for part in parts)
        told(done, max(end, done) if end < LEAP else None)
    target.write(tally.last())
    target.flush()
    return tally.content(header)


def verify(source: Path | IO[bytes], *, told: Told = _nobody) -> Content:
    """
    Read all of a backup, without a store.

    Raises:
        BackupInvalid: It is damaged, cut short, no backup, or of a later release.
    """
    with _opened(source) as file:
        backup = _Reading(file, told)
        for _ in backup.pages():
            pass
        return backup.content


def import_from(
    store: Store, source: Path | IO[bytes], *, ledger: Ledger | None = None, told: Told = _nobody
) -> Content:
    """
    Fill *store*, in which nothing is, from a backup: all of it, or nothing.

    What is used is written first. Where it is broken off then, the store is empty still; repeating it begins anew.

    Args:
        ledger: Where usage is counted; None for that of *store*, if it has one.
        source: A file, or a stream, which stays open.
        told: Called after each page with the number of lines so far; a file is read once more before, for its checksum.

    Raises:
        BackupInvalid: It is damaged, cut short, no backup, or of a later release; nothing was changed.
        StoreNotEmpty: Something was written to the store before; nothing was changed.
        ConfigurationError: The backup has usage, and there is no ledger; nothing was changed.
        OutcomeUnknown: No answer. Repeat it: where it has happened, the store is not empty.
    """
    total = None
    if isinstance(source, Path):
        with _opened(source) as file:
            checked = _Reading(file, told)
            for _ in checked.lines():
                pass
            total = checked.number
    with _opened(source) as file:
        backup = _Reading(file, told, total)
        with suppress(StoreIncomplete):  # that is what is mended here
            store.prepare()
        counts = getattr(store, "ledger", None) if ledger is None else ledger
        store.restore(restored(store, counts, backup.pages()))
        return backup.content


@contextmanager
def _opened(source: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """Open a file, or take a stream, compressed or not: that is seen by how it begins."""
    if isinstance(source, Path):
        with source.open("rb") as file, _opened(file) as plain:
            yield plain
        return
    buffered = io.BufferedReader(cast("io.RawIOBase", source))
    try:
        if buffered.peek(len(_MAGIC))[: len(_MAGIC)] == _MAGIC:
            with gzip.GzipFile(fileobj=buffered, mode="rb") as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            yield buffered
    finally:
        buffered.detach()  # or it would close the stream, which is somebody else's


class _Reading:
    """
    A backup that is read, once.

    Attributes:
        number: Of the line that was read last.
        content: What it holds; known after the last line.
    """

    content: Content

    def __init__(self, file: IO[bytes], told: Told, total: int | None = None) -> None:
        self._file = file
        self._told = told
        self._total = total
        self.number = 0

    def lines(self) -> Iterator[bytes]:
        """
        Give the lines between the first and the last, and end only if the checksum is right.

        Raises:
            BackupInvalid: It is not, or this is no backup.
        """
        first = self._line(_FIRST)
        header = read_header(first)
        tally = Tally(first)
        while not is_last(line := self._whole()):
            tally.add(kind_of(line, self.number), line)
            yield line
            if self.number % PAGE == 0:
                self._told(self.number, self._total)
        if line != tally.last():
            raise BackupInvalid(
                "the backup is damaged: the checksum in its last line is not that of the others; take another copy"
            )
        if self._line(1):
            raise BackupInvalid("the backup is damaged: something follows its last line; take another copy")
        self._told(self.number, self._total)
        self.content = tally.content(header)

    def pages(self) -> Iterator[Sequence[Part | Counted]]:
        """
        Give the parts, in pages, usage in pages of its own; same as `lines` else.

        Raises:
            BackupInvalid: Also where a line is nothing that we write.
        """
        page: list[Part | Counted] = []
        position = 0
        for line in self.lines():
            part = read(line, self.number)
            if isinstance(part, KeptChange):
                if part.entry.position <= position:
                    raise BackupInvalid(f"line {self.number:,} of the backup is not in its place")
                position = part.entry.position
            if page and isinstance(page[0], Counted) != isinstance(part, Counted):
                yield page
                page = []
            page.append(part)
            if len(page) == PAGE:
                yield page
                page = []
        yield page

    def _whole(self) -> bytes:
        line = self._line(_LONGEST)
        if not line.endswith(b"\n"):
            raise BackupInvalid(f"the backup is cut short: it ends behind line {self.number - bool(line):,}")
        return line

    def _line(self, longest: int) -> bytes:
        try:
            line = self._file.readline(longest)
        except (OSError, EOFError, zlib.error) as error:
            raise BackupInvalid(f"the backup cannot be read behind line {self.number:,}: {error}") from error
        self.number += bool(line)
        return line
