"""The result of a run in `docs/MUTANTS.md`: everything from its heading on is written here, but for
the reasons why a mutant survives, which people write and which are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ballast.mutation.generate import MODULES, Mutant
from ballast.mutation.results import COUNTED, Results
from ballast.mutation.trial import Verdict

HEADING = "## Result\n"
UNEXPLAINED = "?"
ROW = re.compile(r"^\| (\w+):\d+ \| `(.*)` \| `(.*)` \| (.*) \|$")


def explanations(page: str) -> dict[tuple[str, str, str], str]:
    """Why mutants survive, as a page says it, by module and change (lines move)."""
    rows = filter(None, map(ROW.match, page.splitlines()))
    return {(row[1], row[2], row[3]): row[4] for row in rows}


def recorded(page: str, results: Results, seed: int) -> str:
    """The page with these results in the place of the last ones."""
    head, _, _ = page.partition(HEADING)
    known = explanations(page)
    return head + HEADING + "\n" + "\n".join(_lines(results, seed, known)) + "\n"


def _lines(results: Results, seed: int, known: dict[tuple[str, str, str], str]) -> Iterator[str]:
    counted = results.counted()
    commits = ", ".join(f"`{commit}`" for commit in sorted({r.commit for r in counted}))
    yield f"Commit {commits}, seed {seed}: **{results.score():.1%} of {len(counted)} found**."
    yield ""
    verdicts = (*COUNTED, *(verdict for verdict in Verdict if verdict not in COUNTED))
    yield "| module | " + " | ".join(verdicts) + " |"
    yield "|---" * (len(verdicts) + 1) + "|"
    for module in (*MODULES, None):
        counts = " | ".join(str(results.count(verdict, module)) for verdict in verdicts)
        yield f"| {module or '**all**'} | {counts} |"
    yield ""
    yield "| survivor | line | instead | why |"
    yield "|---|---|---|---|"
    for result in results.survivors():
        change = _change(result.mutant)
        why = known.get(change, UNEXPLAINED)
        module, before, after = change
        yield f"| {module}:{result.mutant.line} | `{before}` | `{after}` | {why} |"


def _change(mutant: Mutant) -> tuple[str, str, str]:
    before, after = (
        " ⏎ ".join(text.strip().splitlines()).replace("|", "\\|")
        for text in (mutant.before, mutant.after)
    )
    return mutant.module, before, after
