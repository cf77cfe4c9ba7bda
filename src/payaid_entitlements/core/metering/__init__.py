"""Metering: which lots of allowance a tenant has, how an amount is spread over them, and what a ledger is told."""
