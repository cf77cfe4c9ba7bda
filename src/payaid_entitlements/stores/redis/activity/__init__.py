"""Which tenant did what on which day, in Redis."""
