"""Ballast: an on-chain perpetual-futures clearinghouse, and what scripts, bots and tests share.

Importing the package imports nothing else; take what is needed from its modules (`ballast.client`,
`ballast.deploy`, `ballast.evm`, `ballast.scenario`, `ballast.model` ...).
"""

__version__ = "0.1.0"
