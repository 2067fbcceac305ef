"""A deployment in process."""

from __future__ import annotations

import pytest

from ballast import config
from ballast.config import DeployConfig
from ballast.deploy import deploy_token
from tests.unit.deploy.flaky import DEPLOYER, Flaky


@pytest.fixture
def chain() -> Flaky:
    return Flaky()


@pytest.fixture
def token(chain: Flaky) -> str:
    address = deploy_token(chain, DEPLOYER)
    chain.count = 0
    return address


@pytest.fixture(scope="session")
def asked() -> DeployConfig:
    return config.load(config.PARAMETERS / "local.toml")
