"""``manage.py payaid``: the command line on the store of the settings."""

from __future__ import annotations

import os
from argparse import REMAINDER, ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from payaid_entitlements.web.django.configuration import said

#: What the command line reads of the environment, where the settings say it.
_BESIDES: Final = ("LEDGER", "LIMITER", "SHARED")


class Command(BaseCommand):
    """
    The same commands, options and exit codes as ``payaid``; ``--url`` is what the settings say.

    Everything behind the name goes to it, but for ``--settings`` and ``--pythonpath``, which Django has read.
    """

    help = "Ask, explain and change who may use what: all commands of payaid, on the store of the settings."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run what ``manage.py payaid ...`` says, and exit as it does."""
        read = ArgumentParser(add_help=False, allow_abbrev=False)
        read.add_argument("--settings")
        read.add_argument("--pythonpath")
        try:
            self._run(read.parse_known_args(argv[2:])[1])
        except CommandError as error:
            self.stderr.write(str(error))
            raise SystemExit(error.returncode) from error
        finally:
            connections.close_all()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what ``call_command`` hands over."""
        parser.add_argument("arguments", nargs=REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Run what ``call_command("payaid", ...)`` says.

        Raises:
            SystemExit: It ended, with its exit code.
        """
        self._run(options["arguments"])

    def _run(self, arguments: Sequence[str]) -> None:
        try:
            from payaid_entitlements.cli.program import app
        except ModuleNotFoundError as error:
            if error.name not in {"typer", "rich"}:
                raise
            raise CommandError(f"payaid needs {error.name!r}: pip install 'payaid-entitlements[cli]'") from error
        with _environment() as url:
            app(["--url", url, *arguments], prog_name="manage.py payaid")


@contextmanager
def _environment() -> Iterator[str]:
    """Say in the environment, and by the URL, what the settings say."""
    given = said()
    url = given.get("URL") or os.environ.get("PAYAID_URL")
    places = {f"PAYAID_{name}": given[name] for name in _BESIDES if given.get(name) is not None}
    for name, place in {"URL": url, **places}.items():
        if not isinstance(place, str):
            raise CommandError(
                f"the command line opens a store by its URL, and PAYAID of the settings has none ({name}): use payaid "
                "--url ..."
            )
    before = {name: os.environ.get(name) for name in places}
    os.environ.update(places)
    try:
        yield str(url)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
