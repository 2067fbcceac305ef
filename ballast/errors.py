"""Typed errors of the package. Everything raised on purpose derives from `BallastError`."""


class BallastError(Exception):
    """Base of all errors raised by this package."""


class Reverted(BallastError):
    """A call or transaction was reverted.

    `reason` is the contract's reason string (`module: reason`), "" where it gave none (a failed
    arithmetic check, a bare assert), or `halt: ...` where the EVM itself stopped (out of gas,
    invalid opcode). `data` is the raw revert data, where it is known.
    """

    def __init__(self, reason: str, data: bytes = b"") -> None:
        super().__init__(reason or "(no reason given)")
        self.reason = reason
        self.data = data


class NodeError(BallastError):
    """A node does not answer, or not with what was asked for."""


class NodeRefused(NodeError):
    """A node answered with an error; `words` are its own, `code` is JSON-RPC's, `data` what came
    with it (revert data, where a call reverted)."""

    def __init__(self, method: str, words: str, code: int = 0, data: object = None) -> None:
        super().__init__(f"{method}: {words}")
        self.words = words
        self.code = code
        self.data = data


class AbiError(BallastError, TypeError):
    """Arguments do not fit a contract's ABI, or there is no such function."""


class SnapshotError(BallastError):
    """A snapshot is unknown, already reverted, or in the way of what was asked."""


class BuildError(BallastError):
    """A contract is missing, does not compile, or is too large to deploy."""


class ConfigError(BallastError, ValueError):
    """A parameter is out of its bounds or missing; the message names it."""


class DeployError(BallastError):
    """A deployment cannot be carried out or continued."""


class GovernanceError(BallastError):
    """An owner's or guardian's command cannot be carried out (yet); the message says why."""


class VerificationError(DeployError):
    """The chain does not say what was asked; `differences` names every wire and parameter."""

    def __init__(self, differences: list[str]) -> None:
        super().__init__("deployment differs from what was asked:\n  " + "\n  ".join(differences))
        self.differences = differences


class ScenarioError(BallastError, ValueError):
    """A price file or a population is not usable; the message names the line or the field."""


class SigningError(BallastError, ValueError):
    """A signature cannot be made or used."""


class SourceError(BallastError):
    """A price source does not answer, or not with prices; the message names it."""


class MutationError(BallastError):
    """A fault cannot be put into the sources, or tried; what that says about tests is nothing."""
