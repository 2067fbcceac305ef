"""A finding made into a test: as few steps as possible, on the state they begin in.

The state is taken where the last of these steps begin, so hardly anything of the run is needed: a
run of thousands of calls becomes a test of a few.
"""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ballast.abi import Function
from ballast.fork import capture
from ballast.fuzz.arena import Finding
from ballast.fuzz.replay import Case, Cast, Stage, play, selected, was_refused
from ballast.fuzz.tape import Step
from ballast.fuzz.wiring import WalletRevm
from ballast.signing import account_id

SHRINK_SECONDS = 60.0
SHOWN = 12
PROBES = ("S8", "S11", "S12")
PROBE_STEPS = 6
"""Steps that a probe leaves at the end of a trace, at most."""
_WIDTH = 96
_TEMPLATE = '''\
"""Found by the fuzzer ({origin}):

{message}

{steps}
"""

from pathlib import Path

from ballast.fuzz.replay import replay


def test_{name}() -> None:
    replay(Path(__file__).with_suffix(".json"))
'''


def write(case: Case, folder: Path, origin: str) -> Path:
    """Write a case as `test_<digest>.py`, a pytest file, and its JSON beside; the path of the test.

    `origin` says in a few words where it was found.
    """
    digest = hashlib.sha256(json.dumps([case.message, case.trace]).encode()).hexdigest()[:8]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"test_{digest}.py"
    case.save(path.with_suffix(".json"))
    message = textwrap.fill(case.message, _WIDTH, initial_indent="    ", subsequent_indent="    ")
    path.write_text(
        _TEMPLATE.format(
            origin=origin,
            message=message,
            steps="\n".join(_told(case)),
            name=re.sub(r"\W+", "_", kind(case.message)).strip("_").lower() or "finding",
        )
    )
    return path


def kind(message: str) -> str:
    """What a finding is about: `S2`, `cash`, `clearinghouse.fill`."""
    return message.split(":")[0].split()[0]


def case_of(
    chain: WalletRevm,
    cast: Cast,
    finding: Finding,
    seconds: float = SHRINK_SECONDS,
    progress: Callable[[int], None] = lambda steps: None,
) -> Case:
    """The case of a finding, on the chain it was found on, which is back where its trace begins.

    For about so many seconds steps are left out as long as the finding stays; `progress` is told
    how many there still are. The chain is left as it is.
    """
    trace = _effective(finding.trace)
    everybody = dict.fromkeys([*cast.accounts, *_named(Stage(chain, cast), trace)])
    cast = replace(cast, accounts=tuple(everybody))
    end = time.monotonic() + seconds
    return _Search(chain, cast, finding.message, end, progress).case(trace)


class _Search:
    """Looks for fewer steps after which the same is found."""

    def __init__(
        self,
        chain: WalletRevm,
        cast: Cast,
        message: str,
        end: float,
        progress: Callable[[int], None],
    ) -> None:
        self.chain, self.cast, self.message = chain, cast, message
        self.end, self.progress = end, progress

    def case(self, trace: list[Step]) -> Case:
        """The case with what could be left out left out."""
        with self.chain.rolled_back(exact_gas=True):
            rest, is_judged = self._end_of(trace)
            if is_judged:
                rest = self._fewer(rest)
            state = capture(self.chain, lambda: self._need(rest))
        return Case(self.message, self.cast, rest, state, is_judged)

    def _end_of(self, trace: list[Step]) -> tuple[list[Step], bool]:
        """The last steps of a trace after which the same is found; the chain is then where they
        begin. The last one alone is tried first, then the last two, four ... and in the end all."""
        lengths = [2**power for power in range(len(trace).bit_length())]
        starts = sorted({0, *(len(trace) - length for length in lengths)})
        marks, at = [], 0
        for start in starts:
            self._run(trace[at:start])
            marks.append(self.chain.snapshot(exact_gas=True))
            at = start
        while True:
            steps = trace[starts[len(marks) - 1] :]
            self.progress(len(steps))
            for cut in range(min(PROBE_STEPS, len(steps)) + 1 if self._is_probe() else 1):
                shorter = steps[: len(steps) - cut]
                if self._finds(shorter):
                    return shorter, True
            if len(marks) == 1 or time.monotonic() > self.end:
                break
            marks.pop()
            self.chain.revert(marks[-1])
            marks[-1] = self.chain.snapshot(exact_gas=True)
        self.chain.revert(marks[0])
        return trace, False

    def _is_probe(self) -> bool:
        """Whether a probe found it: what it did then is done again at the end of a replay."""
        return kind(self.message) in PROBES

    def _fewer(self, steps: list[Step]) -> list[Step]:
        """Parts left out, half of them first, then smaller ones; the last step stays."""
        length, before = len(steps) // 2, len(steps)
        while length and time.monotonic() < self.end:
            at = len(steps) - 1 - length
            while at > -length and time.monotonic() < self.end:
                shorter = steps[: max(0, at)] + steps[at + length :]
                if self._finds(shorter):
                    steps = shorter
                    self.progress(len(steps))
                at -= length
            if length == 1 and len(steps) < before:
                before = len(steps)  # what could not go alone may go now
            else:
                length //= 2
        return steps

    def _finds(self, steps: list[Step]) -> bool:
        """Whether the same kind of thing is found in these steps."""
        with self.chain.rolled_back(exact_gas=True):
            try:
                play(self.chain, self.cast, steps, self.message)
            except Finding as finding:
                return kind(finding.message) == kind(self.message)
            return False

    def _run(self, steps: list[Step]) -> None:
        stage = Stage(self.chain, self.cast)
        for step in steps:
            stage.raw(step)

    def _need(self, steps: list[Step]) -> None:
        """What playing the steps reads, and what it would if the finding did not end it."""
        with self.chain.rolled_back(), suppress(Finding):
            play(self.chain, self.cast, steps, self.message)
        with self.chain.rolled_back():
            self._run([step for step in steps if not was_refused(step)])
            for look in Stage(self.chain, self.cast, is_strict=False).looks(self.message):
                with suppress(Finding):
                    look()


def _effective(trace: list[Step]) -> list[Step]:
    """Without calls that were refused, which leave no trace (but for the last one), and without
    blocks in which nothing happens."""
    kept: list[Step] = []
    for step in [s for s in trace[:-1] if not was_refused(s)] + trace[-1:]:
        if step[0] == "block" and kept and kept[-1][0] == "block":
            kept.pop()
        kept.append(step)
    return kept


def _named(stage: Stage, trace: list[Step]) -> Iterator[str]:
    """The accounts, in hex, of those who call, and those in the arguments of their calls."""
    for step in trace:
        if step[0] == "send":
            _, sender, to, data, _ = stage.meant(step)
            yield account_id(sender).hex()
            raw = bytes.fromhex(data)
            function = selected(stage.contract(to), raw)
            if function is not None:
                yield from (key.hex() for key in _keys(function.inputs.decode(raw[4:])))


def _keys(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes) and len(value) == 32 and any(value[:20]):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _keys(part)


# Telling


def _told(case: Case) -> list[str]:
    """The last steps in words, and how many there are before them."""
    names = {address: name for name, address in case.cast.contracts.items()}
    names[case.cast.collateral] = "Token"
    stage = Stage(case.state.chain(WalletRevm), case.cast)
    hidden = max(0, len(case.trace) - SHOWN)
    told = [f"{hidden} steps, then:" if hidden else "Steps:"]
    for number, step in enumerate(case.trace[hidden:], hidden + 1):
        text = _in_words(step, names, stage)
        told.append(textwrap.shorten(f"{number:3}. {text}", _WIDTH, placeholder=" ..."))
    return told


def _in_words(step: Step, names: dict[str, str], stage: Stage) -> str:
    if step[0] == "block":
        return f"block {step[1]}, time {step[2]}"
    if step[0] == "deploy":
        return f"{step[1][:8]}: deploys {len(step[2]) // 2} bytes"
    _, sender, to, data, refusal = stage.meant(step)
    raw = bytes.fromhex(data)
    function = selected(stage.contract(to), raw)
    call = _call(function, raw) if function else f"0x{data[:8]}"
    refused = f"refused ({refusal}): " if refusal else ""
    return f"{refused}{sender[:8]}: {names.get(to, to[:8])}.{call}"


def _call(function: Function, raw: bytes) -> str:
    shown = [
        f"{name}={_brief(value)}"
        for name, value in zip(function.inputs.names, function.inputs.decode(raw[4:]), strict=True)
    ]
    return f"{function.name}({', '.join(shown)})"


def _brief(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()[:8]
    if isinstance(value, list):
        return "[" + ", ".join(_brief(part) for part in value) + "]"
    if isinstance(value, tuple):
        return "(...)"
    return value[:8] if isinstance(value, str) else str(value)
