"""
A stand-in for a login. NOT A LOGIN: your app has a real one; the library never asks who somebody is.

A token is what it says and a signature of that, as in a JWT. It is here so that the example verifies its callers at
all: the tenant that a gate asks about must come from what your login verified, never from a header that anybody can
write.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

SECRET = b"everybody can read this one"


@dataclass(frozen=True)
class Member:
    """Somebody who is logged in, and the customer for whom they work."""

    user: str
    tenant: str


class Denied(BaseModel):
    """What FastAPI says itself, where it is not let in or nothing is there."""

    detail: str


def signed(message: bytes) -> str:
    """The signature of *message*."""
    return hmac.new(SECRET, message, hashlib.sha256).hexdigest()


def token(tenant: str, user: str = "asha") -> str:
    """What a client sends: ``Authorization: Bearer <token>``."""
    payload = urlsafe_b64encode(json.dumps([tenant, user]).encode()).decode()
    return f"{payload}.{signed(payload.encode())}"


async def current_member(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> Member:
    """Verify the token, or answer 401."""
    payload, _, signature = credentials.credentials.rpartition(".")
    if not hmac.compare_digest(signature.encode(), signed(payload.encode()).encode()):
        raise HTTPException(401, "log in first", {"WWW-Authenticate": "Bearer"})
    tenant, user = json.loads(urlsafe_b64decode(payload))
    return Member(user, tenant)
