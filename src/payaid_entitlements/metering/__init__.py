"""Counting: from a verb of the client to postings, and from what a ledger answers to a `Usage`."""
