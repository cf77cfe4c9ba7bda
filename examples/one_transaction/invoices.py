"""
A row and what it uses up, in one transaction: both are there, or neither is.

    pip install "payaid-entitlements[sql]"
    python examples/one_transaction/invoices.py

Your tables and ours are in one database, here a SQLite file; with PostgreSQL only the URL differs. Five invoices a
month are sold. The fifth fails after it was counted, and costs nothing; the sixth is refused, and leaves no row.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.errors import QuotaExceeded
from payaid_entitlements.stores.sql import begin_immediate

SOLD = {
    "catalog": 1,
    "default_plan": "free",
    "modules": {"invoicing": {"features": {"invoices": {"kind": "quota", "unit": "invoice"}}}},
    "plans": {"free": {"modules": ["invoicing"], "features": {"invoicing.invoices": "5/month"}}},
}


class Base(DeclarativeBase):
    """Your tables."""


class Invoice(Base):
    """One of them."""

    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    org: Mapped[str]
    text: Mapped[str]


def create_invoice(ent: Entitlements, engine: Engine, org: str, text: str) -> int:
    """
    Write an invoice, and count it, in one transaction.

    Raises:
        QuotaExceeded: None is left; nothing was written.
        ValueError: It has no text; nothing was counted.
    """
    with Session(engine) as db, db.begin():
        invoice = Invoice(org=org, text=text)
        db.add(invoice)
        db.flush()  # now it has an id, by which it is counted once
        ent.consume(org, "invoicing.invoices", operation=("invoice", invoice.id), tx=db)
        if not text:
            raise ValueError("an invoice says what it is for")
        return invoice.id


def main(url: str) -> None:
    """Tell the story."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        begin_immediate(engine)  # or writers that read first could not wait for each other
    Base.metadata.create_all(engine)
    with Entitlements.open(url, catalog=Catalog.load(SOLD)) as ent:
        ent.check("acme", "invoicing")  # SQLite gets our tables with the first question
        for number in range(4):
            print("invoice", create_invoice(ent, engine, "acme", f"work {number}"))
        for text in ("", "work 4", "work 5"):
            try:
                print("invoice", create_invoice(ent, engine, "acme", text))
            except ValueError as error:
                print("failed:", error)
            except QuotaExceeded as refusal:
                print("refused:", refusal.decision.reason.value)
        usage = ent.usage("acme", "invoicing.invoices")["invoicing.invoices"]
        with Session(engine) as db:
            rows = db.scalar(select(func.count()).select_from(Invoice))
        print(f"{rows} rows, {usage.used} counted of {usage.limit}")
    engine.dispose()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(f"sqlite:///{Path(folder) / 'app.db'}")
