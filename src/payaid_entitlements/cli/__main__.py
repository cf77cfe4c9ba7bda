"""So that ``python -m payaid_entitlements.cli`` is `payaid`."""

from __future__ import annotations

from payaid_entitlements.cli import main

main()
