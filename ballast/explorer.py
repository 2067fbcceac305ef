"""What a block explorer asks for to show a contract's source: the compiler's standard JSON input
and the constructor's arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ballast import build
from ballast.record import Record


def standard_json(name: str) -> dict[str, Any]:
    """The compiler's input that gives a contract's code again. Raises `BuildError`."""
    made = build.artifact(name)
    target = build.source(name).relative_to(build.ROOT).as_posix()
    return {
        "language": "Vyper",
        "compiler_version": build.vyper_version(),
        "sources": {path: {"content": build.read_source(path)} for path in sorted(made.sources)},
        "settings": {
            "evmVersion": made.evm_version,
            "optimize": made.optimize,
            "search_paths": [".", build.CONTRACTS.relative_to(build.ROOT).as_posix()],
            "outputSelection": {target: ["*"]},
        },
    }


def write(kept: Record, folder: Path) -> list[Path]:
    """Write `<Contract>.json` for each contract of a record, and `constructor_arguments.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {name: standard_json(name) for name in kept.contracts}
    contents["constructor_arguments"] = {
        name: {"address": address, "arguments": kept.arguments.get(name, "")}
        for name, address in kept.contracts.items()
    }
    written = []
    for name, content in contents.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content, indent=2) + "\n")
        written.append(path)
    return written
