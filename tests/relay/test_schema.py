"""The running relay against its own OpenAPI document: whatever is asked, it answers as it says."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.support.relaying import RelayProcess

pytestmark = pytest.mark.node
EXAMPLES = 15
OPERATIONS = 14


@pytest.mark.parametrize("mode", GenerationMode)
def test_it_answers_as_it_says(relay: RelayProcess, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{relay.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == OPERATIONS
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not takes_anything(operation):
            continue

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode))
        def check(case: schemathesis.Case) -> None:
            # What a schema allows is refused where no key has signed it: no schema tells.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        check()
    assert relay.get("/health").json()["ok"]
    assert "request failed" not in relay.said()


def takes_anything(operation: schemathesis.schemas.APIOperation) -> bool:
    return bool(operation.body) or any(operation.iter_parameters())
