"""
JsonLogic, with flagd's operators: read into nodes, which are compiled like any other notation.

`reading` takes the JSON, `reaching` finds attributes, `operators` are the ones that only look at their operands. Those
that look at the context or decide what is evaluated at all (``var``, ``if``, ``and``, ``map``, ``fractional``) are
nodes, or made by the compiler.
"""
