"""The example app, fresh, on a store in memory: as somebody starts it who has sold what the tests want."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from payaid_entitlements.testing import FakeClock, Sandbox, sandbox
from tests.web.conftest import NOW

FOLDER = Path(__file__).parents[3] / "examples" / "payaid"
_NAMES = ("app", "clock", "login", "records", "tenants")


@dataclass(frozen=True)
class Loaded:
    """The module of the app, that of its login, and the sandbox in which it runs."""

    app: ModuleType
    login: ModuleType
    inside: Sandbox

    def headers(self, tenant: str, user: str = "asha") -> dict[str, str]:
        """What a member of *tenant* sends."""
        return {"Authorization": f"Bearer {self.login.token(tenant, user)}"}


@contextmanager
def loaded() -> Iterator[Loaded]:
    """Import it as its own directory has it; nothing of it stays."""
    kept = {name: sys.modules.pop(name) for name in _NAMES if name in sys.modules}
    sys.path.insert(0, str(FOLDER))
    try:
        app, login = importlib.import_module("app"), importlib.import_module("login")
        with sandbox(app.ent, clock=FakeClock(NOW)) as inside:
            yield Loaded(app, login, inside)
    finally:
        sys.path.remove(str(FOLDER))
        for name in _NAMES:
            sys.modules.pop(name, None)
        sys.modules.update(kept)
