"""
For the host's own logging: who a line is about, and nothing in it that must not be there.

The library configures no logging. What it says itself goes to structlog where the host has set that up, else to
`logging`, under the name ``payaid_entitlements``, and is masked already. These parts are for what the host says:

- with structlog, put `add_tenant` and `redact` among its processors;
- with `logging` alone, put a `Redact` on its handlers.
"""

from payaid_entitlements.logs.processors import add_tenant, redact
from payaid_entitlements.logs.standard import Redact

__all__ = ["Redact", "add_tenant", "redact"]
