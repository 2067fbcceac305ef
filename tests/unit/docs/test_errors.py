"""`docs/ERRORS.md` lists every reason there is, and no other; and each of ours is tested."""

from __future__ import annotations

import re
from pathlib import Path
from sysconfig import get_path

import pytest

from ballast.build import ROOT, artifact, deployables

REASON = re.compile(r'"([a-z0-9_]+: [^"\n]+)"')
ROW = re.compile(r"^\| `(.+)` \| (.+) \| (.+) \|$")
SITE = Path(get_path("purelib"))


def ours() -> dict[str, set[str]]:
    """Every reason string in our contracts (mocks excluded), and where it is: what is asserted,
    raised, or returned as a refusal. Docstrings hold none in quotes."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "contracts").rglob("*.vy")):
        if "mocks" in path.parts:
            continue
        code = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        code = re.sub(r"#.*", "", code)
        for reason in REASON.findall(code):
            found.setdefault(reason, set()).add(path.stem)
    return found


def snekmates() -> set[str]:
    """Reasons of the snekmate modules in use that the compiler has put into a deployable."""
    found: set[str] = set()
    for name in deployables():
        made = artifact(name)
        for source in made.sources:
            if source.startswith("snekmate/") and source.endswith(".vy"):
                reasons = REASON.findall((SITE / source).read_text())
                found |= {r for r in reasons if r.encode()[:32] in made.runtime}
    return found


def listed() -> dict[str, tuple[str, str, str]]:
    """The page's rows: reason to (section, when, what to do)."""
    rows: dict[str, tuple[str, str, str]] = {}
    section = ""
    for line in (ROOT / "docs" / "ERRORS.md").read_text().splitlines():
        if line.startswith("## "):
            section = line[3:].split()[0]
        elif match := ROW.match(line):
            assert match[1] not in rows, f"{match[1]} is listed twice"
            rows[match[1]] = section, match[2], match[3]
        else:
            assert not line.startswith("| `"), f"not a row: {line}"
    return rows


def test_every_reason_is_listed_and_no_other() -> None:
    there = set(ours()) | snekmates()
    rows = set(listed())
    assert there - rows == set(), "not listed"
    assert rows - there == set(), "listed, but in no contract"


def test_reasons_stand_in_their_modules_section() -> None:
    for reason, (section, when, remedy) in listed().items():
        prefix = reason.split(":")[0]
        own = section == prefix or (section == "snekmate" and reason in snekmates())
        assert own, f"{reason} stands under {section}"
        assert when.strip()
        assert remedy.strip()


def test_every_assert_and_raise_has_a_reason() -> None:
    """A bare assert would be a refusal nobody can read."""
    for path in sorted((ROOT / "contracts").rglob("*.vy")):
        if "mocks" in path.parts:
            continue
        code = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        code = re.sub(r"#.*", "", code)
        for match in re.finditer(r"^ +(assert|raise)\b", code, flags=re.MULTILINE):
            statement = _statement(code, match.start())
            named = REASON.search(statement) or re.search(r",\s*refusal\s*$", statement)
            assert named, f"{path.name}: {statement.strip()}"


def _statement(code: str, start: int) -> str:
    """A statement to its end: the line's, or that of its last open bracket."""
    depth = 0
    for at in range(start, len(code)):
        depth += (code[at] in "([") - (code[at] in ")]")
        if code[at] == "\n" and depth == 0:
            return code[start:at]
    return code[start:]


@pytest.mark.parametrize("reason", sorted(ours()))
def test_every_reason_of_ours_is_tested(reason: str) -> None:
    """Named whole in a test, or by its part behind `module: ` where a test puts them together."""
    module, _, rest = reason.partition(": ")
    whole = f"{module}: {rest}"
    here = Path(__file__)
    for path, text in _tests():
        if path == here:
            continue
        if f"{whole}$" in text or f'"{whole}"' in text:
            return
        together = re.search(rf'f"\^?{module}: {{\w+}}([ \w]*)\$?"', text)
        if together is None:
            continue
        tail = together[1]
        part = rest.removesuffix(tail) if tail else rest
        if rest.endswith(tail) and f'"{part}"' in text:
            return
    pytest.fail(f"{reason!r} is in no test")


def _tests() -> list[tuple[Path, str]]:
    if not _CACHE:
        _CACHE.extend((p, p.read_text()) for p in sorted((ROOT / "tests").rglob("*.py")))
    return _CACHE


_CACHE: list[tuple[Path, str]] = []
