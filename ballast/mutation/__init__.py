"""Deliberate faults in the contracts, and whether the tests find them.

`seeded` runs the realistic faults of `tests/seeded/` against the stateful tests, `mutants` a sample
of mechanical ones against all fast tests. Both work in copies of the tree (`tree`), in which one
test run (`trial`, with `witness` inside it) says what became of the fault.
"""
