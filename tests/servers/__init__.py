"""The real servers that tests run against. Each is started by the first test that asks, and ends with the session."""
