"""Guarded rollouts by hand. They go on by themselves too; see `Admin.step_rollouts`."""

from __future__ import annotations

from functools import partial

from payaid_entitlements.admin.asking import Asking, R, optional_operation
from payaid_entitlements.admin.flagging import FlagRequest, change_flags
from payaid_entitlements.admin.rollouts import Turn, turned
from payaid_entitlements.core.flags.rollouts import machine
from payaid_entitlements.core.identity import Operation, plain


class RolloutVerbs(Asking[R]):
    """Verbs about guarded rollouts. All raise `ConfigurationError` where they do not fit, and say where it stands."""

    def approve_rollout(self, flag: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """Let the running step end, once its time and its samples are there, where its guard waits for approval."""
        return self._turn("approve_rollout", flag, machine.approved, because, operation)

    def pause_rollout(self, flag: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """Let the rollout stand still: nobody enters, nobody leaves, and nothing is judged."""
        why = self._why(because, "paused")
        return self._turn("pause_rollout", flag, lambda of, at: machine.paused(of, at, why), because, operation)

    def resume_rollout(self, flag: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """Go on after a pause; the time of the running step begins anew, and what was measured of it still counts."""
        setting = self._setting
        return self._turn(
            "resume_rollout", flag, lambda of, at: machine.resumed(of, at, setting.now()), because, operation
        )

    def restart_rollout(self, flag: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """Begin anew what was rolled back or completed: from the first step, with nothing measured."""
        setting = self._setting
        return self._turn(
            "restart_rollout", flag, lambda of, at: machine.restarted(of, at, setting.now()), because, operation
        )

    def roll_back(self, flag: str, because: str, *, operation: Operation | None = None) -> R:
        """Let nobody be in any more, on every process at its next look at the change log."""
        why = self._why(because, "rolled back")
        return self._turn("roll_back", flag, lambda of, at: machine.rolled_back(of, at, why), because, operation)

    def _why(self, because: str | None, done: str) -> str:
        by = self._by(because)
        return by.because or f"{done} by {by.actor}"

    def _turn(self, verb: str, flag: str, turn: Turn, because: str | None, operation: Operation | None) -> R:
        key = plain("flag", flag)
        request = FlagRequest(
            verb,
            partial(turned, key, turn),
            {"flag": key},
            self._by(because),
            operation=optional_operation(operation),
        )
        return self._change(change_flags(self._setting, request))
