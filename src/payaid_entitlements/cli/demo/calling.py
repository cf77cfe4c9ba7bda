"""Calls over HTTP as a browser makes them: one connection that stays open, each call timed."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

#: Seconds after which a call is given up: no step of the story takes a tenth of it.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What came back.

    Attributes:
        body: The JSON object; what is none is under ``"value"``, as text where it is no JSON either.
        ms: From the first byte sent to the last one read.
    """

    status: int
    body: Mapping[str, object]
    ms: float

    @property
    def said(self) -> str:
        """Status and reason in one line: ``402 plan.module_absent``."""
        reason = self.body.get("reason")
        return f"{self.status} {reason}" if self.status >= 400 and reason else str(self.status)


class Caller:
    """
    Calls one process of the app.

    Args:
        timings: Milliseconds of each call are appended here.
    """

    def __init__(self, host: str, port: int, timings: list[float]) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        self._timings = timings

    def get(self, path: str, *, token: str | None = None) -> Reply:
        """Read *path* as whoever *token* is."""
        return self._call("GET", path, token, None, {})

    def post(
        self,
        path: str,
        *,
        token: str | None = None,
        body: bytes = b"{}",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Post *body*, which is JSON, to *path* as whoever *token* is."""
        return self._call("POST", path, token, body, headers or {})

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _call(self, method: str, path: str, token: str | None, body: bytes | None, more: Mapping[str, str]) -> Reply:
        headers = {"Accept": "application/json", **more}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        begun = time.perf_counter()
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            # What broke off half way stays half way, and refuses the next request too: that one begins anew.
            self._connection.close()
            raise
        ms = (time.perf_counter() - begun) * 1000
        self._timings.append(ms)
        if answer.status >= 500:
            self._connection.close()  # a server whose app has failed hangs up, after it has answered
        return Reply(answer.status, _data(text), ms)


def _data(text: bytes) -> Mapping[str, object]:
    try:
        data = json.loads(text) if text else {}
    except ValueError:
        data = text.decode(errors="replace")
    return data if isinstance(data, dict) else {"value": data}
