"""What each hot operation costs, what it must cost at least, and how deleveraging scales.

`python -m ballast.bench` (`make bench`) stages every operation in process with the deploy script's
wiring, takes each transaction apart unit by unit (`trace`), compares it with its floor (`floor`)
and with other protocols (`peers`), and writes `build/bench.json` and `docs/BENCHMARKS.md`.
"""
