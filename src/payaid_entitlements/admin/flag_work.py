"""What verbs about flags make of the flag set: each from what counts to the set that is wanted, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from payaid_entitlements.admin.flagging import Standing
from payaid_entitlements.core.flags.conditions import named_segments, written_condition
from payaid_entitlements.core.flags.model import Condition, Flag, FlagSet
from payaid_entitlements.core.flags.sizes import require_bounded
from payaid_entitlements.core.flags.touching import same, same_flag
from payaid_entitlements.core.flags.turning import fixed, fixed_at, rolled_out, with_flag
from payaid_entitlements.core.flags.writing import written
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.flags.documents import FlagFile

# What reads flags makes the models of what people write. A process that only asks never pays for them.


def roll_out(key: str, share: int, rule: str | None, on: Standing) -> FlagSet:
    """
    Let *share* in, in parts of `PARTS`.

    Raises:
        ConfigurationError: Everybody gets one variant, whatever the share: nobody would leave at 0 %.
    """
    flag = on.flag(key)
    everybody = fixed_at(flag)
    if everybody is not None:
        raise ConfigurationError(
            f"everybody gets {everybody!r} of flag {key!r}, so that a share says nothing; let the rules decide again "
            f"first, with set_flag({key!r}, None) or `payaid flag set {key} --rules`, or kill it"
        )
    return _changed(on, rolled_out(flag, share, rule))


def fix(key: str, variant: str | None, on: Standing) -> FlagSet:
    """
    Give everybody *variant*; None leaves it to the rules again.

    Of a flag that cannot be read as it is stored, a variant says what everybody gets; the rest of it is then what could
    be read.
    """
    if variant is not None and ("flag", key) in on.held.unread:
        return _changed(on, fixed(replace(on.known(key), broken=""), variant))
    return _changed(on, fixed(on.flag(key), variant))


def define(key: str, definition: Mapping[str, object] | Flag, on: Standing) -> FlagSet:
    """Let the flag be what *definition* says."""
    from payaid_entitlements.core.catalog.flags.reading import read_flag

    data = written(definition) if isinstance(definition, Flag) else definition
    defined = _changed(on, read_flag(key, data, catalog=on.catalog, flags=on.flags, segments=on.segments))
    require_bounded(on.held, defined)
    return defined


def import_flags(file: FlagFile, on: Standing, *, replaces: bool = False) -> FlagSet:
    """Define all flags and segments of a file; instead of all that were ever changed, or besides them."""
    from payaid_entitlements.core.catalog.flags.documents import read_flags

    held = on.held
    if replaces:
        catalog = on.catalog
        read = read_flags(file, catalog=catalog, flags=catalog.flags, segments=catalog.segments)
        # The catalog counts again for what the file does not name. Where a rollout stands stays known: begun anew, one
        # that was rolled back would let people in again.
        known = read.flags.keys() | catalog.flags.keys()
        stood = {key: each for key, each in held.progress.items() if key in known}
        held = FlagSet(held.revision, progress=stood, removed=held.removed)
        for key, flag in read.flags.items():
            if not same_flag(flag, catalog.flags.get(key)):
                held = with_flag(held, flag)
        own = {name: each for name, each in read.segments.items() if not same(each, catalog.segments.get(name))}
        defined = replace(held, segments=own)
        require_bounded(on.held, defined)
        return defined
    read = read_flags(file, catalog=on.catalog, flags=on.flags, segments=on.segments)
    for flag in read.flags.values():
        if not same_flag(flag, on.flags.get(flag.key)):
            held = with_flag(held, flag)
    added = {name: each for name, each in read.segments.items() if not same(each, on.segments.get(name))}
    unread = held.without(*(("segment", name) for name in added))
    defined = replace(held, segments={**held.segments, **added}, unread=unread)
    require_bounded(on.held, defined)
    return defined


def remove(key: str, force: bool, on: Standing) -> FlagSet:
    """
    Let there be no such flag.

    Raises:
        ConfigurationError: Another one needs it; or, without *force*, it keeps a module or feature from somebody, and
            nothing would any more.
    """
    on.known(key)
    needing = sorted(other.key for other in on.flags.values() if any(needs.flag == key for needs in other.needs))
    if needing:
        raise ConfigurationError(f"flag {key!r} is a prerequisite of {_listed(needing)}; take it out there first")
    rest = replace(on, flags={name: flag for name, flag in on.flags.items() if name != key})
    opened = sorted(on.narrowed() - rest.narrowed())
    if opened and not force:
        raise ConfigurationError(
            f"flag {key!r} keeps {_listed(opened)} from those it is not on for; without it all get that whose plan has "
            f"it. Give it to everybody first, with set_flag({key!r}, ...), or say that you mean it: force=True, or "
            f"`payaid flag remove {key} --force`"
        )
    progress = {name: each for name, each in on.held.progress.items() if name != key}
    unread = on.held.without(*((kind, key) for kind in ("flag", "progress", "removed")))
    return replace(on.held, flags={**on.held.flags, key: None}, progress=progress, unread=unread)


def define_segment(name: str, condition: Mapping[str, object] | Condition, on: Standing) -> FlagSet:
    """Let those be in the segment for whom *condition* is true."""
    from payaid_entitlements.core.catalog.flags.documents import read_file

    data = condition if isinstance(condition, Mapping) else written_condition(condition)
    return import_flags(read_file({"segments": {name: dict(data)}}), on)


def remove_segment(name: str, on: Standing) -> FlagSet:
    """Let there be no such segment, or what the catalog says of it again."""
    if name not in on.held.segments and ("segment", name) not in on.held.unread:
        if name in on.catalog.segments:
            raise ConfigurationError(f"segment {name!r} is the catalog's; take it out there")
        raise ConfigurationError(f"there is no segment {name!r}{did_you_mean(name, on.segments)}")
    naming = [f"flag {key!r}" for key, flag in on.flags.items() if any(_names(rule.when, name) for rule in flag.rules)]
    naming += [f"segment {other!r}" for other, each in on.segments.items() if _names(each, name)]
    if naming and name not in on.catalog.segments:
        raise ConfigurationError(f"segment {name!r} is named by {', '.join(sorted(naming))}; change these first")
    segments = {key: each for key, each in on.held.segments.items() if key != name}
    return replace(on.held, segments=segments, unread=on.held.without(("segment", name)))


def _names(condition: Condition | None, name: str) -> bool:
    return condition is not None and name in named_segments(condition)


def _changed(on: Standing, flag: Flag) -> FlagSet:
    """The set with *flag*; the same where that says nothing new, so that the catalog's goes on counting."""
    return on.held if same_flag(flag, on.flags.get(flag.key)) else with_flag(on.held, flag)


def _listed(keys: list[str]) -> str:
    return ", ".join(repr(key) for key in keys)
