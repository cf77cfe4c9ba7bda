"""
``payaid``: set up, ask, change and explain from a terminal.

Importing this costs nothing and needs no extra; `main` loads the rest.
"""

from __future__ import annotations

import sys

#: What a command ends with: 0 is yes or done.
REFUSED, USAGE, UNAVAILABLE = 1, 2, 3


def main() -> None:
    """Run the command line. Exits with 0, or with one of the numbers above."""
    try:
        from payaid_entitlements.cli.program import app
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        print(
            f"payaid needs the package {error.name!r}; run: pip install 'payaid-entitlements[cli]'",
            file=sys.stderr,
        )
        sys.exit(USAGE)
    app()
