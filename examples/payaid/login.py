"""
A stand-in for a login. NOT A LOGIN: your app has a real one; the library never asks who somebody is.

A token is ``tenant:user:signature``. It is here so that the example verifies its callers at all: the tenant
that a gate asks about must come from what your login verified, never from a header that anybody can write.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Annotated

from fastapi import Header, HTTPException

SECRET = os.environ.get("PAYAID_DEMO_SECRET", "only-for-the-demo").encode()


@dataclass(frozen=True)
class Member:
    """Somebody who is logged in, and the customer for whom they work."""

    user: str
    tenant: str


def signed(text: str) -> str:
    """The signature of *text*."""
    return hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()[:32]


def token(tenant: str, user: str = "asha") -> str:
    """What a client sends: ``Authorization: Bearer <token>``."""
    return f"{tenant}:{user}:{signed(f'{tenant}:{user}')}"


def current_member(authorization: Annotated[str | None, Header()] = None) -> Member:
    """Verify the header, or answer 401."""
    who, _, signature = (authorization or "").removeprefix("Bearer ").rpartition(":")
    tenant, _, user = who.partition(":")
    if not hmac.compare_digest(signature.encode(), signed(who).encode()):
        raise HTTPException(401, "log in first")
    return Member(user=user, tenant=tenant)
