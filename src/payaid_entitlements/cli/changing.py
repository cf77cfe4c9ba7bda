"""What a change came to, said when it is done."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from payaid_entitlements.admin import Change
from payaid_entitlements.cli.printing import console, emit, escape
from payaid_entitlements.cli.times import shown, stamp


def as_data(change: Change) -> dict[str, object]:
    """A change as JSON data."""
    return {
        "change": change.id,
        "applied": change.applied,
        "reason": change.reason,
        "revision": change.revision,
        "effective_at": stamp(change.effective_at),
        "gains": list(change.gains),
        "losses": list(change.losses),
        "exceeds": list(change.exceeds),
    }


def opens(proposed: Change) -> list[str]:
    """What a change of flags would let everybody have whose plan has it; for the terminal, before anybody says yes."""
    keys = escape(", ".join(proposed.gains))
    return [f"  [yellow]opens {keys}[/] to all whose plan has it"] if keys else []


def said(
    change: Change,
    zone: ZoneInfo,
    *,
    as_json: bool,
    more: dict[str, object] | None = None,
    way_back: str = "payaid undo {id} --because ...",
) -> None:
    """Say that *change* was made, and the *way_back*."""
    if as_json:
        emit({**as_data(change), **(more or {})})
        return
    if not change.applied:
        console().print(f"[yellow]nothing was changed[/] ({escape(str(change.reason))})")
        return
    out = console()
    revision = "" if change.revision is None else f", revision {change.revision}"
    out.print(f"[green]done[/]{revision}, in force from {shown(change.effective_at, zone)}")
    lines = (("gains", change.gains, "green"), ("loses", change.losses, "red"), ("exceeds", change.exceeds, "yellow"))
    for word, keys, colour in lines:
        if keys:
            out.print(f"  {word} [{colour}]{escape(', '.join(keys))}[/]")
    out.print(f"  [dim]take it back: {way_back.format(id=change.id)}[/]")
