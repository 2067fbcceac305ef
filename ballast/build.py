"""Compiles the contracts with the installed vyper and keeps the results in `build/artifacts/`.

An artifact is used again while every source it was made of (modules and interfaces included) and
the compiler are unchanged. `python -m ballast.build` compiles every deployable, prints their sizes
and fails where one reaches the limit of EIP-170.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache as memoize
from importlib.metadata import version
from pathlib import Path
from sysconfig import get_path
from typing import Any

import click

from ballast.abi import Abi, Codec
from ballast.errors import BuildError

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
FOLDERS = (CONTRACTS, CONTRACTS / "testnet", CONTRACTS / "mocks")
CACHE = ROOT / "build" / "artifacts"
MAX_RUNTIME_BYTES = 24_576
"""EIP-170: a contract of this size or more is refused here (the chain refuses one byte later)."""


@dataclass(frozen=True)
class Artifact:
    """A compiled contract.

    `initcode` lacks the constructor's arguments (see `deploy_code`); `runtime` lacks the
    immutables, which stand behind it on chain.
    """

    name: str
    abi: Abi
    initcode: bytes
    runtime: bytes
    immutables_size: int
    storage_layout: dict[str, Any]
    optimize: str
    evm_version: str
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def runtime_size(self) -> int:
        """Bytes on chain: the runtime code and the immutables behind it."""
        return len(self.runtime) + self.immutables_size

    @property
    def constructor(self) -> list[dict[str, Any]]:
        """The constructor's parameters."""
        inputs = [entry["inputs"] for entry in self.abi if entry["type"] == "constructor"]
        return inputs[0] if inputs else []

    def deploy_code(self, *args: Any) -> bytes:
        """The initcode with the constructor's arguments appended. Raises `AbiError`."""
        return self.initcode + Codec(self.constructor).encode(args)


def vyper_version() -> str:
    """The installed compiler's version."""
    return version("vyper")


def deployables(folder: Path = CONTRACTS) -> list[str]:
    """The names of the contracts that are deployed: the `.vy` files directly in `contracts/`."""
    return sorted(path.stem for path in folder.glob("*.vy"))


@memoize
def artifact(name: str) -> Artifact:
    """The contract `name` of one of `FOLDERS`. Raises `BuildError`."""
    return compile_file(source(name))


def source(name: str) -> Path:
    """Where the contract `name` is written. Raises `BuildError`."""
    for folder in FOLDERS:
        path = folder / f"{name}.vy"
        if path.exists():
            return path
    raise BuildError(f"no contract {name!r} in contracts/, its testnet/ or its mocks/")


def compile_file(path: Path, cache: Path | None = CACHE) -> Artifact:
    """Compile one source file, or take it from the cache. Raises `BuildError`."""
    path = path.resolve()
    key = hashlib.sha256(_relative(path).encode()).hexdigest()[:8]
    stored = None if cache is None else cache / f"{path.stem}-{key}.json"
    if stored is not None and (known := _load(stored)) is not None:
        return known
    made = _compile(path)
    if stored is not None:
        stored.parent.mkdir(parents=True, exist_ok=True)
        record = {**asdict(made), "vyper": vyper_version()}
        record.update(initcode=made.initcode.hex(), runtime=made.runtime.hex())
        temporary = stored.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(record))
        temporary.replace(stored)
    return made


def build_all(jobs: int = 2) -> dict[str, Artifact]:
    """Every deployable by name, compiled by `jobs` processes. Raises `BuildError`."""
    paths = [CONTRACTS / f"{name}.vy" for name in deployables()]
    if not paths:
        raise BuildError("no contracts in contracts/")
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        return {made.name: made for made in pool.map(compile_file, paths)}


def _search_paths() -> list[Path]:
    return [Path(get_path("purelib")), ROOT, CONTRACTS]


def _relative(path: Path) -> str:
    """A source's name without the machine's folders: below site-packages or the project.

    In this order, as `make` puts the environment into the project's folder.
    """
    for base in (Path(get_path("purelib")), ROOT):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.as_posix()


def _locate(name: str) -> Path | None:
    for base in (ROOT, Path(get_path("purelib"))):
        if (base / name).exists():
            return base / name
    return None


def read_source(name: str) -> str:
    """A source by its name in `Artifact.sources`. Raises `BuildError`."""
    path = _locate(name)
    if path is None:
        raise BuildError(f"{name} is neither in the project nor among the installed packages")
    return path.read_text()


def _digest(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def _load(stored: Path) -> Artifact | None:
    """The artifact in a cache file, if it is still what its sources say."""
    try:
        record = json.loads(stored.read_text())
    except (OSError, ValueError):
        return None
    try:
        if record.pop("vyper") != vyper_version():
            return None
        for name, digest in record["sources"].items():
            path = _locate(name)
            if path is None or _digest(path.read_bytes()) != digest:
                return None
        code = {name: bytes.fromhex(record[name]) for name in ("initcode", "runtime")}
        return Artifact(**{**record, **code})
    except (AttributeError, KeyError, TypeError):
        return None  # written by another version of this module


def _compile(path: Path) -> Artifact:
    from vyper.compiler import outputs_from_compiler_data
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.compiler.output_bundle import OutputBundle
    from vyper.compiler.phases import CompilerData
    from vyper.evm.opcodes import DEFAULT_EVM_VERSION
    from vyper.exceptions import VyperException

    bundle = FilesystemInputBundle(_search_paths())
    formats = ["abi", "bytecode", "bytecode_runtime", "layout"]
    gc.disable()  # its trees are all in use: looking for garbage takes a sixth of the time
    try:
        source = bundle.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are judged in `main`, with the limit's reason
            data = CompilerData(source, bundle)
            made = outputs_from_compiler_data(data, formats)
        sources = OutputBundle(data).source_codes.values()
    except (VyperException, OSError) as error:
        raise BuildError(f"{_relative(path)}: {error}") from error
    finally:
        gc.enable()
    settings = data.settings
    return Artifact(
        name=path.stem,
        abi=made["abi"],
        initcode=bytes.fromhex(made["bytecode"].removeprefix("0x")),
        immutables_size=_total_length(made["layout"].get("code_layout", {})),
        runtime=bytes.fromhex(made["bytecode_runtime"].removeprefix("0x")),
        storage_layout=json.loads(json.dumps(made["layout"])),
        optimize=str(settings.optimize or "gas"),
        evm_version=settings.evm_version or DEFAULT_EVM_VERSION,
        sources={_relative(Path(s.resolved_path)): _digest(s.contents.encode()) for s in sources},
    )


def _total_length(layout: dict[str, Any]) -> int:
    """Bytes of immutables in a (nested) code layout."""
    if "offset" in layout and "length" in layout:
        return int(layout["length"])
    return sum(_total_length(part) for part in layout.values())


@click.command()
@click.option("--jobs", default=2, show_default=True, help="Compilations at a time.")
def main(jobs: int) -> None:
    """Compile every deployable and print its size on chain; fail where one is too large."""
    from rich.console import Console
    from rich.table import Table

    built = build_all(jobs)
    table = Table("contract", "bytes on chain", "left", "optimize", title="Contract sizes")
    for name, made in built.items():
        left = MAX_RUNTIME_BYTES - made.runtime_size
        table.add_row(name, f"{made.runtime_size:,}", f"{left:,}", made.optimize)
    Console().print(table)
    large = [name for name, made in built.items() if made.runtime_size >= MAX_RUNTIME_BYTES]
    if large:
        click.echo(f"too large ({MAX_RUNTIME_BYTES:,} bytes or more): {', '.join(large)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
