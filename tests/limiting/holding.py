"""A permit that is held inside a block, said in one way for both colours."""

from __future__ import annotations

from contextlib import contextmanager


@contextmanager
def held(ent, *args, **named):
    """Hold a permit inside the block."""
    holding = ent.inner.concurrent(*args, **named)
    if hasattr(holding, "__aenter__"):
        outcome = ent.run(holding.__aenter__)
        try:
            yield outcome
        finally:
            ent.run(holding.__aexit__, None, None, None)
    else:
        with holding as outcome:
            yield outcome
