"""A filter for `logging`."""

from __future__ import annotations

import logging

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.core.redacting import masked, masked_lines, without_secrets

#: What a record has by itself; everything else the host has added by ``extra=``.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Redact(logging.Filter):
    """
    Masks secrets in a record and says whose request it is; put it on handlers, since a logger's filters do not see what
    comes from loggers below it.

    Attributes that are there afterwards, for a format: ``%(tenant)s`` and ``%(user)s``, ``-`` where nobody is bound.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change *record*, and let it pass."""
        record.msg, record.args = masked(record.getMessage()), None
        extra = {name: value for name, value in vars(record).items() if name not in _OWN}
        vars(record).update(without_secrets(extra))
        if record.exc_info:
            # A formatter uses the text as it is when it is there; that of a handler before may have left it.
            text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_text = masked_lines(text)
        binding = CURRENT.get()
        view = binding.view if binding is not None and binding.is_found else None
        who = {"tenant": None, "user": None} if view is None else {"tenant": view.tenant, "user": view.user}
        for name, value in who.items():
            if name not in extra:
                setattr(record, name, "-" if value is None else masked(value))
        return True
