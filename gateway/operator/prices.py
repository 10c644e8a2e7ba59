"""Prices from the data shipped in the `genai-prices` package. No network; nothing is invented.

A price is used only where the package knows exactly one model of that name at the provider that
the address belongs to, and where it is one number: prices that change with the prompt's length or
the time of day are left to the operator, since a policy's price is one number too.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
)

from gateway.core.policy import Price


@dataclass(frozen=True, slots=True)
class NoPrice:
    """Why there is none."""

    reason: str


def known_price(
    base_url: str, model: str, today: date, *, has_output: bool = True
) -> Price | NoPrice:
    """The price of `model` at the provider whose API is at `base_url`, as of `today`. Embeddings
    have no output."""
    found = _models(base_url, model, has_output=has_output)
    if not found:
        return NoPrice("genai-prices does not know it")
    if len(found) > 1:
        return NoPrice("genai-prices knows several models by this name")
    price = _as_of(found[0], today)
    if isinstance(price, NoPrice):
        return price
    numbers = [price.input_mtok, price.output_mtok, price.cache_read_mtok, price.cache_write_mtok]
    if any(isinstance(number, TieredPrices) for number in numbers):
        return NoPrice("its price depends on the length of the prompt")
    if price.requests_kcount is not None:
        return NoPrice("each request has a price of its own")
    input_, output, cached, written = (_dollars(number) for number in numbers)
    if not has_output:
        output = output or 0.0
    if input_ is None or output is None:
        return NoPrice("genai-prices has no price for it")
    return Price(input_, output, cached, written)


def known_context(base_url: str, model: str) -> int | None:
    """How many tokens a model takes, where that is known."""
    found = _models(base_url, model, has_output=True)
    return found[0].context_window if len(found) == 1 else None


def _models(base_url: str, model: str, *, has_output: bool) -> list[ModelInfo]:
    providers = [
        provider
        for provider in get_snapshot().providers
        if re.match(rf"(?:{provider.api_pattern})(?=[/:]|$)", base_url)
    ]
    # Entries without a price for output are no rivals: OpenAI has a second table like that.
    models = [
        info for row in providers for info in row.models if _has_output(info) or not has_output
    ]
    exact = [info for info in models if info.id == model]
    return exact or [info for info in models if info.is_match(model)]


def _has_output(info: ModelInfo) -> bool:
    prices = (
        info.prices if isinstance(info.prices, list) else [ConditionalPrice(prices=info.prices)]
    )
    return any(item.prices.output_mtok is not None for item in prices)


def _as_of(info: ModelInfo, today: date) -> ModelPrice | NoPrice:
    if isinstance(info.prices, ModelPrice):
        return info.prices
    for item in info.prices:
        if item.constraint is not None and not isinstance(item.constraint, StartDateConstraint):
            return NoPrice("its price depends on the time of day")
    return info.get_prices(datetime.combine(today, time(12), tzinfo=UTC))


def _dollars(number: object) -> float | None:
    return float(number) if isinstance(number, Decimal) else None
