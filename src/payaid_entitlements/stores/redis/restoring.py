"""
A whole store from another one, in Redis, where nothing is rolled back.

So a store that is being filled has a layout that nobody knows: whoever asks meanwhile, or after it was killed, is told
so. Each filling has a name of its own, and what a filling that was given up still sends is refused. What is killed is
begun anew, from nothing; what ends by an error of its source is emptied at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.errors import StoreIncomplete
from payaid_entitlements.stores.ports import KeptChange, KeptTenant, Part
from payaid_entitlements.stores.redis import clients, scripts
from payaid_entitlements.stores.redis.asking import Ask, Asking, Questions
from payaid_entitlements.stores.redis.layout import (
    CATALOG,
    CONTROLS,
    FILLING,
    FLAGS,
    VERSION,
    operation_field,
    row_in,
    sized,
    tenant_field,
    trail_entry,
    trail_path,
)
from payaid_entitlements.stores.writing import continued, not_empty, part_kept, scope_kept

#: Parts that one script stores: a millisecond or two of the server's time.
BATCH: Final = 100


def restoring(questions: Questions, pages: Iterable[Sequence[Part]], token: str) -> Asking[None]:
    """
    Store all *pages*.

    Args:
        token: The name of this filling, which no other has.

    Raises:
        StoreNotEmpty: Something was written here before.
        StoreIncomplete: Another one has begun meanwhile.
    """
    answer = yield Ask(scripts.BEGIN_FILLING, (VERSION, FILLING, token))
    if answer[0] == b"used":
        raise not_empty(questions.name)
    questions.checked(answer)
    last = 0
    source = iter(pages)
    while True:
        try:
            page = next(source, None)
        except BaseException:
            yield Ask(scripts.STOP_FILLING, (VERSION, token))
            raise
        if page is None:
            break
        for part in page:
            last = part.entry.position if isinstance(part, KeptChange) else last
        for first in range(0, len(page), BATCH):
            said = [word for part in page[first : first + BATCH] for word in _said(part)]
            _ours(questions, (yield Ask(scripts.FILL, (token, *said))))
    end = Ask(scripts.END_FILLING, (VERSION, token, continued(last)), changes=True)
    _ours(questions, (yield end))


def _ours(questions: Questions, answer: Sequence[bytes]) -> None:
    if answer[0] != b"filled":
        raise StoreIncomplete(f"somebody else has begun to read a backup into {questions.name}; this one ends here")


def _said(part: Part) -> Iterator[clients.Part]:
    """A part as the script takes it: its kind, and then what that kind has."""
    if isinstance(part, KeptChange):
        entry = part.entry
        yield from ("change", entry.position, *scope_kept(entry.scope), entry.tenant or "", entry.revision)
        yield from (trail_path(entry.scope, entry.tenant), *trail_entry(entry, part.event), entry.id)
        yield operation_field(entry.tenant, entry.operation)
        yield f"{entry.position} {entry.revision} {entry.digest} {entry.id}"
        yield b"" if entry.operation is None else sized("q", entry.operation)
    elif isinstance(part, KeptTenant):
        document = part.document
        yield from ("tenant", document.tenant, tenant_field(document.tenant))
        yield f"{document.revision}\n{document.to_json()}"
        yield "" if part.row is None else f"{part.row.revision}\n{row_in(part.row.plan, part.row.modules)}"
    else:
        yield from ("one", _field(part), f"{part.revision}\n{part_kept(part)}")


def _field(part: Published | Controls | FlagSet) -> str:
    if isinstance(part, Published):
        return CATALOG
    return CONTROLS if isinstance(part, Controls) else FLAGS
