"""How long operations are kept, as URLs say it."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.instant import DAY
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.keeping import KEPT, kept_for


@pytest.mark.parametrize(("text", "days"), [("32d", 32), ("90d", 90), ("0090d", 90), ("99999d", 99_999)])
def test_days(text, days):
    assert kept_for(text) == days * DAY


@pytest.mark.parametrize(
    "text", ["", "31d", "90", "90 d", "-90d", "1e3d", "90days", "100000d", "3m", "\u0669\u0660d\n"]
)
def test_what_is_no_number_of_days_or_too_few_is_refused(text):
    with pytest.raises(ConfigurationError, match="payaid_keep_operations=90d"):
        kept_for(text)


def test_without_a_word_it_is_longer_than_what_is_promised():
    assert KEPT == 35 * DAY
