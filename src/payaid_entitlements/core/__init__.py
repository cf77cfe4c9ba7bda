"""The rules: frozen data and pure functions; no clock, no network, no framework."""
