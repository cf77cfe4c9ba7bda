"""
How a rollout grows, and when it goes back: pure functions of time, of what was measured, and of where it stands.

`schedule` says what share is in, `machine` what happens next, `sequential` and `histogram` how sure what was measured
is, `measured` reads that out of what processes have counted.
"""
