"""`payaid flag import` and `export`: flags as files, of flagd's format or of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from payaid_entitlements.admin import Admin, Change
from payaid_entitlements.cli.changing import opens, said
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.flag_changes import moved, standing
from payaid_entitlements.cli.opening import actor, opened
from payaid_entitlements.cli.options import AsJson, Because, Url, Yes
from payaid_entitlements.cli.printing import console, emit, escape
from payaid_entitlements.core.flags import flagd
from payaid_entitlements.core.flags.conditions import written_condition
from payaid_entitlements.core.flags.forecasting import Forecast
from payaid_entitlements.core.flags.model import Condition, Flag
from payaid_entitlements.core.flags.writing import written
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError, UnknownFlag

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.nodes import Scheme


class Format(StrEnum):
    """How flags are written."""

    YAML = "yaml"
    JSON = "json"
    FLAGD = "flagd"


class Generation(StrEnum):
    """What flagd's ``fractional`` hashes."""

    V2 = "v2"
    V3 = "v3"


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="flagd's JSON, or `flags:` as in a catalog.")],
    because: Because,
    replace: Annotated[
        bool, typer.Option("--replace", help="Instead of all that was changed; repairs a damaged flag set.")
    ] = False,
    fractional: Annotated[
        Generation | None,
        typer.Option(help="Of flagd's buckets, where FILE says none: v2 if a service is of it."),
    ] = None,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Define all flags of FILE, or none where one is wrong. What would change is shown before; others stay, but with
    --replace: then the catalog counts again for all that FILE does not name.
    """
    with opened(url) as store:
        on = standing(store)
        revision = on.held.revision
        scheme: Scheme | None = None if fractional is None else "v2" if fractional is Generation.V2 else "v3"

        def imported(admin: Admin) -> Change:
            return admin.import_flags(file, replace=replace, fractional=scheme, expect=revision)

        proposed = imported(store.ent.admin(actor(), because=because, dry_run=True))
        lines = [Line(each.what, f"[dim]{escape(each.before)}[/]", escape(each.after)) for each in proposed.altered]
        if not lines:
            if as_json:
                emit({"applied": False, "reason": "nothing changed", "revision": revision})
            else:
                console().print("[green]nothing to do[/]: all of it is so already")
            return
        told = [_moving(each) for each in proposed.forecasts]
        if proposed.uncounted:
            told.append(f"  and {proposed.uncounted:,} more flags that may move somebody: of these nobody was counted")
        told += opens(proposed)
        confirm(store.store.name, lines, because=because, yes=yes, as_json=as_json, told=told)
        change = imported(store.ent.admin(actor(), because=because))
        more: dict[str, object] = {
            "altered": [str(each) for each in proposed.altered],
            "forecasts": [asdict(each) for each in proposed.forecasts],
            "uncounted": proposed.uncounted,
        }
        said(change, store.zone(), as_json=as_json, more=more)


def export(
    flag: Annotated[list[str] | None, typer.Argument(metavar="FLAG...", help="Only these; else all.")] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How they are written.")] = Format.YAML,
    targeting_key: Annotated[
        str, typer.Option(help="For flagd: whose id services pass as targetingKey: tenant, user or an attribute.")
    ] = "tenant",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file instead of stdout.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Write flags as they are now: for a catalog, or for flagd, whose services put everybody where we do."""
    with opened(url) as store:
        on = standing(store)
        chosen = _chosen(on.flags, flag or [])
        text = _text(chosen, on.segments, Format.JSON if as_json and format is Format.YAML else format, targeting_key)
        if out is None:
            print(text, end="")
            return
        out.write_text(text, encoding="utf-8")
        count = f"{len(chosen)} flag{'' if len(chosen) == 1 else 's'}"
        if as_json:
            emit({"file": str(out), "flags": sorted(chosen)})
        else:
            console().print(f"[green]written[/] {escape(str(out))}: {count} of {escape(store.store.name)}")


def _moving(told: Forecast) -> str:
    return f"  [bold]{escape(told.key)}[/]  {told.before:,} in, then {told.after:,}   {moved(told)}"


def _chosen(flags: Mapping[str, Flag], keys: list[str]) -> dict[str, Flag]:
    for key in keys:
        if key not in flags:
            raise UnknownFlag(f"there is no flag {key!r}{did_you_mean(key, flags)}")
    chosen = {key: flags[key] for key in sorted(keys or flags)}
    for key, flag in chosen.items():
        if flag.broken:
            raise ConfigurationError(
                f"flag {key!r} cannot be read as it is stored, so it cannot be written: {flag.broken}; "
                "define it anew, or name the flags that you want"
            )
    return chosen


def _text(flags: Mapping[str, Flag], segments: Mapping[str, Condition], format: Format, targeting_key: str) -> str:
    if format is Format.FLAGD:
        return flagd.dump(flags, segments=segments, targeting_key=targeting_key)
    data: dict[str, Any] = {
        "segments": {name: written_condition(each) for name, each in sorted(segments.items())},
        "flags": {key: written(flag) for key, flag in flags.items()},
    }
    if not segments:
        del data["segments"]
    if format is Format.JSON:
        return json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=120)
