"""
Flags: kill switches, gradual rollouts, variants and targeting, as frozen data and pure functions.

`model` is what a flag is, `nodes` the one form that every notation is read into, `context` whom it is about and
`details` what comes out. A flag may narrow what a plan grants; it never grants.
"""
