"""How a command ends: our own errors become one clear sentence and an exit code, never a traceback."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.markup import escape
from typer.core import TyperGroup

from payaid_entitlements.cli import REFUSED, UNAVAILABLE, USAGE
from payaid_entitlements.cli.printing import notes
from payaid_entitlements.errors import (
    ChangeConflict,
    EntitlementError,
    OperationConflict,
    OutcomeUnknown,
    StoreUnavailable,
)


class Ending(Exception):
    """
    Ends a command with a sentence.

    Attributes:
        code: What the process exits with.
    """

    def __init__(self, sentence: str, *, code: int = USAGE) -> None:
        super().__init__(sentence)
        self.code = code


class Program(TyperGroup):
    """The group of all commands. Whatever a command raises on purpose ends here."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override] # Typer's own type of a context is private
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except Ending as ending:
            _end(str(ending), ending.code)
        except OutcomeUnknown as error:
            _end(
                f"{error}; it may or may not have happened: look with `payaid audit` before you repeat it",
                UNAVAILABLE,
            )
        except StoreUnavailable as error:
            _end(str(error), UNAVAILABLE)
        except (ChangeConflict, OperationConflict) as error:
            _end(str(error), REFUSED)
        except EntitlementError as error:
            _end(str(error), USAGE)
        except BrokenPipeError:
            raise  # whoever read our output has gone; nobody is left to tell
        except OSError as error:
            _end(f"{error.filename}: {error.strerror}" if error.filename else str(error), USAGE)


def _end(sentence: str, code: int) -> NoReturn:
    # A list of problems has lines of its own.
    notes().print(f"[bold red]payaid:[/] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(code)
