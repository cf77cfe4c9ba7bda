"""Counters of calls in a database, for those who have no Redis."""
