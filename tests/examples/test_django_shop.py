"""The shop in Django, over HTTP."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SAID = """\
System check identified no issues (0 silenced).
asha has pro
nobody 200 401 401 404
asha | sees | Export< | Analytics< | new cart | 0 invoices
asha /orders/export 200
asha /analytics/ 200
asha /invoices/1 200
asha /invoices/2 200
asha /invoices/13 500
asha /invoices/3 200
asha 200 text/html; charset=utf-8 False
asha api 200 200
asha cookie 401 401
bina | sees | pro has it | 0 invoices
bina /orders/export 402
bina /analytics/ 402
bina /invoices/1 200
bina /invoices/2 200
bina /invoices/13 402
bina /invoices/3 402
bina 402 text/html; charset=utf-8 True
bina api 200 402
bina cookie 401 401
api (401, 'application/problem+json') [200, 200, 429]
staff 200 403 403
boss 200 200
reviewed 402
confirmed 200 True
cleared 402
"""


def test_two_customers_walk_through_it(tmp_path):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("django_shop_tour.py"))],
        cwd=ROOT / "examples" / "django_shop",
        env={**os.environ, "SHOP_DB": f"{tmp_path}/shop.db"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == SAID, done.stderr[-3000:]
