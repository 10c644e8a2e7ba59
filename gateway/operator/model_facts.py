"""What is known of a policy's models: prices and context windows, the file's own first, then those
of the `genai-prices` package."""

from datetime import date

from gateway.core.policy import Price
from gateway.core.providers import Provider
from gateway.operator.fields import is_loopback
from gateway.operator.problems import path_of
from gateway.operator.schema import PolicyFile
from gateway.operator.schema_providers import ModelTable


def listed(source: PolicyFile) -> list[str]:
    """Every `provider/model` that requests can reach, once, in order."""
    ids = [target.model for tier in source.tiers for target in tier.targets]
    return list(dict.fromkeys([*ids, *source.models]))


def judge_of(source: PolicyFile) -> str | None:
    table = source.classifier
    return table.model if table and table.mode in {"model", "hybrid"} else None


def used(source: PolicyFile) -> list[str]:
    judge = judge_of(source)
    embeddings = source.embeddings.targets if source.embeddings else []
    return list(dict.fromkeys([*listed(source), *embeddings, *([judge] if judge else [])]))


def prices_of(
    source: PolicyFile, providers: dict[str, Provider], today: date
) -> tuple[dict[str, Price], list[str]]:
    # Takes as long to import as all the rest, and policies with prices of their own need none.
    from gateway.operator.prices import NoPrice, known_price  # noqa: PLC0415

    prices: dict[str, Price] = {}
    warnings: list[str] = []
    embeddings = source.embeddings.targets if source.embeddings else []
    chats = {id_ for id_ in used(source) if id_ not in embeddings}
    for id_ in used(source):
        provider, _, model = id_.partition("/")
        base_url = providers[provider].base_url
        if table := source.prices.get(id_):
            prices[id_] = Price(table.input, table.output, table.cached_input, table.cache_write)
        elif is_loopback(base_url):
            continue  # A model of one's own has no price by the token.
        elif isinstance(
            found := known_price(base_url, model, today, has_output=id_ in chats), NoPrice
        ):
            warnings.append(
                f"{path_of(('prices', id_))}: no price: {found.reason}."
                f" Its cost will be absent; to have it, add [{path_of(('prices', id_))}]"
            )
        else:
            prices[id_] = found
    warnings += [
        f"{path_of(('prices', id_))}: not used: no tier, [models], [embeddings] or classifier has"
        " this model"
        for id_ in source.prices
        if id_ not in used(source)
    ]
    return prices, warnings


def models_of(source: PolicyFile, providers: dict[str, Provider]) -> dict[str, object]:
    """What the file says of models, and how long a conversation each takes, where it is known."""
    tables = {id_: table.model_dump() for id_, table in source.models.items()}
    for id_ in listed(source):
        provider, _, model = id_.partition("/")
        base_url = providers[provider].base_url
        table = tables.get(id_, ModelTable().model_dump())
        if table["context"] is not None or is_loopback(base_url):
            continue
        from gateway.operator.prices import known_context  # noqa: PLC0415 - as in `_prices`

        if context := known_context(base_url, model):
            tables[id_] = {**table, "context": context}
    return dict(tables)
