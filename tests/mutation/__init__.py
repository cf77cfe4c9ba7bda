"""Mutants of the core: how many of them do the tests notice? ``python -m tests.mutation``."""
