"""The options and arguments that many commands have, each written once."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from payaid_entitlements.core.identity import identify
from payaid_entitlements.entitlements import DEFAULT_URL


def _chosen(ctx: typer.Context, url: str | None) -> str:
    """The URL behind the command, else the one before it, else the environment's."""
    above = ctx.find_root().obj
    return url or (above if isinstance(above, str) else None) or os.environ.get("PAYAID_URL") or DEFAULT_URL


def identified(name: str, value: str) -> str:
    """
    Return *value*, an id.

    Raises:
        BadParameter: It identifies nobody.
    """
    try:
        return identify(name, value)
    except TypeError as error:
        raise typer.BadParameter(str(error)) from None


def _tenant(value: str | None) -> str | None:
    return None if value is None else identified("tenant", value)


def _user(value: str | None) -> str | None:
    return None if value is None else identified("user", value)


def _because(value: str | None) -> str | None:
    if value is None:
        return None  # where it may be left out
    if not value.strip():
        raise typer.BadParameter("say why: a ticket or a sentence")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("that is no text: the terminal sent bytes that are not UTF-8") from None
    return value


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="The store; else PAYAID_URL, else sqlite:///payaid.db.",
        callback=_chosen,
        show_default=False,
    ),
]
#: The most that one screen, or one JSON value, lists.
MOST = 1_000_000
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
_BECAUSE = typer.Option(
    "--because", help="Why; shown before the change, and kept with it. No reason, no change.", callback=_because
)
Because = Annotated[str, _BECAUSE]
#: For a command that can also be asked to change nothing.
PerhapsBecause = Annotated[str | None, _BECAUSE]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="The id of a tenant.", callback=_tenant)]
FlagKey = Annotated[str, typer.Argument(metavar="FLAG", help="The key of a flag.")]
Feature = Annotated[str, typer.Argument(metavar="FEATURE", help="The key of a module or feature.")]
Overridable = Annotated[
    str, typer.Argument(metavar="FEATURE", help="The key of a module or feature, or rate_limits.KEY.")
]
User = Annotated[str | None, typer.Option("--user", help="A user inside the tenant.", callback=_user)]
