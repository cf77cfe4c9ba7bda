"""Which tenant did what on which day, in a SQL database."""
