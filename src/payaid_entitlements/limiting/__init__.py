"""Limiting calls: from a tenant and the name of a limit to what its counters say."""
