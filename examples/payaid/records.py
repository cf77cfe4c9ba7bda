"""
A stand-in for a database: rows that know whose they are, kept in memory.

A row of somebody else is found by nobody: it is as if it were not there, so that nothing can be learnt by trying ids.
"""

from __future__ import annotations

from itertools import count

from fastapi import HTTPException
from pydantic import BaseModel, Field


class Contact(BaseModel):
    """Somebody whom a customer knows."""

    id: int
    name: str


class NewContact(BaseModel):
    """What a browser sends."""

    name: str = Field(min_length=1, max_length=100)


class Contacts:
    """The contacts of all customers; whoever asks says for whom."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._rows: dict[str, dict[int, Contact]] = {}

    def of(self, tenant: str) -> list[Contact]:
        """All of one customer's."""
        return list(self._rows.get(tenant, {}).values())

    def add(self, tenant: str, new: NewContact) -> Contact:
        """Write one down."""
        contact = Contact(id=next(self._ids), name=new.name)
        self._rows.setdefault(tenant, {})[contact.id] = contact
        return contact

    def find(self, tenant: str, contact: int) -> Contact:
        """One of this customer's; anything else is a 404, the same for what is another one's and what nobody has."""
        found = self._rows.get(tenant, {}).get(contact)
        if found is None:
            raise HTTPException(404, "no such contact")
        return found

    def remove(self, tenant: str, contact: int) -> None:
        """Forget one of this customer's."""
        found = self.find(tenant, contact)
        del self._rows[tenant][found.id]
