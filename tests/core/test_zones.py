"""Zones of a tenant, as facts say them: what cannot be read is damaged, and is no zone."""

import pytest

from payaid_entitlements.core.facts import NewFact
from payaid_entitlements.core.zones import history
from payaid_entitlements.errors import StoreDamaged
from tests.core.conftest import tenant


@pytest.mark.parametrize(
    "said", [5, "UTC", {"zone": "UTC", "history": []}, [["UTC", 0]], [[0, "UTC"], 5], {"history": 7}]
)
def test_a_history_that_cannot_be_read_is_damaged(said):
    with pytest.raises(StoreDamaged, match="timezone"):
        history(tenant(NewFact(("timezone",), 0, said)), None, 5)


def test_a_history_that_can_be_read_is_read():
    moves = [[0, "UTC"], [3, "Asia/Tokyo"]]
    assert history(tenant(NewFact(("timezone",), 0, {"zone": "Asia/Tokyo", "history": moves})), None, 5) == moves
