"""What a request is, and that it is refused."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, TypeAlias

from payaid_entitlements.core.flags.details import FlagError

#: A connection as ASGI 3.0 describes it.
Scope: TypeAlias = MutableMapping[str, Any]


class Refusing(Exception):
    """
    The request is answered with an error.

    Attributes:
        status: Of HTTP.
        code: The error in OpenFeature's words; None where the protocol has no body.
        says: For the client; nothing of the host's.
        headers: Besides those that every answer has.
    """

    def __init__(
        self, status: int, code: FlagError | None = None, says: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(says)
        self.status = status
        self.code = code
        self.says = says
        self.headers = headers or {}
