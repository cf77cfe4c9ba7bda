"""
Turning flags: who gets which variant, on every process. ``operation`` and ``because`` are as for all verbs.

``kill`` and ``restore`` take the key of a flag too, and ``undo`` the id of a change of flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING

from payaid_entitlements.admin import flag_work as work
from payaid_entitlements.admin.asking import Asking, R, optional_operation, optional_revision
from payaid_entitlements.admin.flagging import FlagRequest, Work, change_flags
from payaid_entitlements.admin.percent import Percent, share
from payaid_entitlements.core.catalog.canonical import content_hash
from payaid_entitlements.core.flags.model import Condition, Flag
from payaid_entitlements.core.flags.storing import encode_condition, encode_flag
from payaid_entitlements.core.identity import Operation, plain

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.nodes import Scheme


class FlagVerbs(Asking[R]):
    """Verbs about flags. Their ``expect`` is the revision of the flag set that you looked at, to be sure of it."""

    def rollout(
        self,
        flag: str,
        percent: Percent,
        *,
        rule: str | None = None,
        expect: int | None = None,
        because: str | None = None,
        operation: Operation | None = None,
    ) -> R:
        """
        Let *percent* in. Whoever is in at a share is in at each larger one, and in the same arm.

        Steps and guards that the rollout had end with it: from here on you say how many.

        Args:
            percent: ``"25%"``, 25 or ``Decimal("0.5")``; to 0.001 %.
            rule: Of which rule; needless where only one may be meant.

        Raises:
            UnknownFlag: There is no such flag.
            ConfigurationError: It has several rules that may be meant, its targeting is flagd's, or everybody gets one
                variant by `set_flag`.
            ChangeConflict: Somebody changed this flag in the same moment; look again and repeat.
        """
        key, inside = plain("flag", flag), share(percent)
        which = None if rule is None else plain("rule", rule)
        asked = {"flag": key, "parts": inside, "rule": which}
        return self._flags("rollout", partial(work.roll_out, key, inside, which), asked, expect, because, operation)

    def set_flag(
        self,
        flag: str,
        variant: str | None,
        *,
        expect: int | None = None,
        because: str | None = None,
        operation: Operation | None = None,
    ) -> R:
        """
        Give *variant* to everybody, whatever the rules say; None lets the rules decide again.

        Who is held out of the flag, excluded from it or without a prerequisite stays so.

        Raises:
            UnknownFlag: There is no such flag.
            ConfigurationError: It has no such variant; or it cannot be read as it is stored, and *variant* is None.
        """
        key, to = plain("flag", flag), None if variant is None else plain("variant", variant)
        asked = {"flag": key, "variant": to}
        return self._flags("set_flag", partial(work.fix, key, to), asked, expect, because, operation)

    def define_flag(
        self,
        key: str,
        definition: Mapping[str, object] | Flag,
        *,
        expect: int | None = None,
        because: str | None = None,
        operation: Operation | None = None,
    ) -> R:
        """
        Let the flag *key* be what *definition* says, whatever it was; it counts from here on, and not the catalog's.

        Tenants are counted beforehand, at most 100,000 of them: `Change.forecasts` says whom it moves, also dry.

        Args:
            definition: As under ``flags:`` of a catalog.

        Raises:
            FlagsInvalid: It cannot be read, names what there is not, or is larger than 256 KiB.
            ConfigurationError: It would change the salt of a live flag, what it is bucketed by, its part of an
                exclusion group or its holdout; or of one that was removed while it was live.
        """
        name = plain("key", key)
        asked = {"key": name, "definition": _as_data(definition)}
        defining = partial(work.define, name, definition)
        return self._flags("define_flag", defining, asked, expect, because, operation, counts=True)

    def remove_flag(
        self,
        key: str,
        *,
        force: bool = False,
        expect: int | None = None,
        because: str | None = None,
        operation: Operation | None = None,
    ) -> R:
        """
        Let there be no flag *key* any more, also where the catalog still has it: whoever asks gets his own default.

        One that is live is remembered: it comes back with the same salt only, bucketed by the same.

        Args:
            force: Also where it keeps a module or feature from somebody, who gets that then: `Change.gains` names it.

        Raises:
            UnknownFlag: There is no such flag.
            ConfigurationError: It is a prerequisite of another one; or it narrows what nothing would narrow any more.
        """
        name = plain("key", key)
        asked: dict[str, object] = {"key": name, "force": True} if force else {"key": name}
        return self._flags("remove_flag", partial(work.remove, name, force), asked, expect, because, operation)

    def define_segment(
        self,
        name: str,
        condition: Mapping[str, object] | Condition,
        *,
        expect: int | None = None,
        because: str | None = None,
        operation: Operation | None = None,
    ) -> R:
        """
        Let those be in the segment *name* for whom *condition* is true.

        Args:
            condition: As under ``when:`` of a rule.

        Raises:
            FlagsInvalid: It cannot be read, or names what there is not.
        """
        key = plain("name", name)
        data = condition if isinstance(condition, Mapping) else encode_condition(condition)
        asked = {"name": key, "condition": dict(data)}
        defining = partial(work.define_segment, key, condition)
        return self._flags("define_segment", defining, asked, expect, because, operation, counts=True)

    def remove_segment(
        self,
        name: str,
        *,
        expect: int | None = None,
        because: str | None = None,
        operation: Operation | None = None,
    ) -> R:
        """
        Let there be no segment *name* any more.

        Raises:
            ConfigurationError: There is none, or a flag or another segment names it.
        """
        key = plain("name", name)
        removing = partial(work.remove_segment, key)
        return self._flags("remove_segment", removing, {"name": key}, expect, because, operation)

    def import_flags(
        self,
        source: str | PathLike[str] | Mapping[str, object],
        *,
        replace: bool = False,
        fractional: Scheme | None = None,
        expect: int | None = None,
        because: str | None = None,
        operation: Operation | None = None,
    ) -> R:
        """
        Define all flags, and segments, of a document: all of them, or none where one is wrong. Others stay as they are.

        Tenants are counted as for `define_flag`, for the first 20 flags that may move somebody.

        Args:
            source: A file of flagd (JSON), or one with ``flags:`` and ``segments:`` as in a catalog; or what was read
                from one.
            replace: Instead of everything that was ever changed: for flags and segments that *source* does not name, or
                has as the catalog, the catalog counts again. This also repairs a stored flag set that cannot be read
                at all.
            fractional: Which generation of ``fractional`` hashes the buckets of a file of flagd: ``v2`` while any
                service that reads it does. None is what the file says, else ``v3``; one that says another is refused.

        Raises:
            FlagsInvalid: Something of it is wrong; all problems are named.
            ConfigurationError: As for `define_flag`.
        """
        # It makes the models of what people write.
        from payaid_entitlements.core.catalog.flags.documents import of_generation, read_file

        file = read_file(source)
        if fractional is not None:
            file = of_generation(file, fractional)
        asked: dict[str, object] = {"hash": content_hash(file.data)}
        if replace:
            asked["replace"] = True
        importing = partial(work.import_flags, file, replaces=replace)
        return self._flags("import_flags", importing, asked, expect, because, operation, counts=True, repairs=replace)

    def _flags(
        self,
        verb: str,
        flag_work: Work,
        asked: Mapping[str, object],
        expect: int | None,
        because: str | None,
        operation: Operation | None,
        *,
        counts: bool = False,
        repairs: bool = False,
    ) -> R:
        author, known = self._by(because), optional_operation(operation)
        seen = optional_revision("a flag set", expect)
        request = FlagRequest(verb, flag_work, asked, author, known, seen, counts=counts, repairs=repairs)
        return self._change(change_flags(self._setting, request))


def _as_data(definition: Mapping[str, object] | Flag) -> dict[str, object]:
    return encode_flag(definition) if isinstance(definition, Flag) else dict(definition)
