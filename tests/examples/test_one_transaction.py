"""The example of a row and its usage in one transaction tells what it says it tells, on each kind of database."""

import runpy
import subprocess
import sys
from pathlib import Path

from payaid_entitlements.stores.sql import SQLStore

FILE = Path(__file__).parents[2] / "examples" / "one_transaction" / "invoices.py"

#: What is said of invoices that were written, that failed and that were refused.
SAID = ["failed: an invoice says what it is for", "refused: quota.exhausted", "5 rows, 5 counted of 5"]


def test_it_runs_by_itself():
    done = subprocess.run([sys.executable, str(FILE)], capture_output=True, text=True, timeout=60, check=True)
    assert [line for line in done.stdout.splitlines() if not line.startswith("invoice ")] == SAID


def test_it_runs_on_postgresql(postgres_url, capsys):
    store = SQLStore(postgres_url)
    store.upgrade()
    store.close()
    # A host's own engine names its driver.
    runpy.run_path(str(FILE))["main"](postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    assert [line for line in capsys.readouterr().out.splitlines() if not line.startswith("invoice ")] == SAID
