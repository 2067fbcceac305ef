"""Ballast: an on-chain perpetual-futures clearinghouse, and what scripts, bots and tests share.

Importing the package imports nothing else; take what is needed from its modules (`ballast.client`,
`ballast.deploy`, `ballast.evm`, `ballast.scenario`, `ballast.model` ...).
"""

import os

# Of the backends that eth-hash finds it would take the slowest, four times slower than this one.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

__version__ = "0.1.0"
