"""Usage and prices to cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.accounting import cost_usd
from gateway.core.chat import Usage
from gateway.core.policy import Price

COUNTS = st.integers(0, 10**7)
PRICES = st.floats(0, 1_000)


@pytest.mark.parametrize(
    ("usage", "price", "expected"),
    [
        (Usage(1_000_000, 0), Price(0.15, 0.6), 0.15),
        (Usage(0, 1_000_000), Price(0.15, 0.6), 0.6),
        (Usage(1_000, 500), Price(1.0, 10.0), 0.006),
        (Usage(1_000, 0, cached_input=400), Price(1.0, 10.0, 0.5), 0.0008),
        (Usage(1_000, 0, cached_input=400), Price(1.0, 10.0), 0.001),
        (Usage(1_000, 0, cached_input=9_999), Price(1.0, 10.0, 0.5), 0.0005),
        (Usage(0, 100, reasoning=100), Price(1.0, 10.0), 0.001),
        (Usage(0, 0), Price(1.0, 10.0), 0.0),
        (Usage(5, 5), Price(0.0, 0.0), 0.0),
    ],
)
def test_costs(usage: Usage, price: Price, expected: float) -> None:
    """Prices are USD per million tokens; cached input has its own price where there is one."""
    assert cost_usd(usage, price) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("usage", "price"), [(None, Price(1, 1)), (Usage(1, 1), None), (None, None)]
)
def test_unknown_is_absent(usage: Usage | None, price: Price | None) -> None:
    """Without usage or price there is no cost: it is never zero."""
    assert cost_usd(usage, price) is None


@given(COUNTS, COUNTS, COUNTS, PRICES, PRICES, st.floats(0, 1))
def test_bounds(
    sent: int, received: int, cached: int, price_in: float, price_out: float, share: float
) -> None:
    """Cached tokens are part of the input: a cost is never negative nor above the uncached one."""
    price = Price(price_in, price_out, price_in * share)
    cost = cost_usd(Usage(sent, received, cached), price)
    full = cost_usd(Usage(sent, received), price)
    assert cost is not None
    assert full is not None
    assert 0 <= cost <= full * (1 + 1e-9)
