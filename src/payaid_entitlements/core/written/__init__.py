"""
What people write, a catalog or a file of flags: reading it, and telling of each mistake where it stands and how to
mend it.

Nothing here knows the rules of either. A document is read in three steps: `source` makes plain data of it, `shape` fits
these into models, and `reading` is what those share who ask what it means. `problems` is what each of them finds.
"""
