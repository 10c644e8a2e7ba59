"""Usage and prices to cost. Prices are USD per million tokens."""

from gateway.core.chat import Usage
from gateway.core.policy import Price


def cost_usd(usage: Usage | None, price: Price | None) -> float | None:
    """What an answer cost, in USD; None where the usage or the price is unknown, never zero."""
    if usage is None or price is None:
        return None
    cached = min(usage.cached_input or 0, usage.input)
    written = min(usage.cache_written or 0, usage.input - cached)
    fresh = usage.input - cached - written
    cost = fresh * price.input + usage.output * price.output
    cost += cached * (price.input if price.cached_input is None else price.cached_input)
    cost += written * (price.input if price.cache_write is None else price.cache_write)
    return cost / 1_000_000
