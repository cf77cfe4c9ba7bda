"""
All of a store in one file: a backup, and the way from any store to any other.

::

    from payaid_entitlements.stores.backup import export_to, import_from, verify
"""

from payaid_entitlements.stores.backup.files import export_to, import_from, verify
from payaid_entitlements.stores.backup.lines import Content

__all__ = ["Content", "export_to", "import_from", "verify"]
