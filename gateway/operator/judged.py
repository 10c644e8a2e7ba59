"""What `tiergate explain` shows of the embedded model's judgement: in JSON, and to read."""

from typing import Any

from rich.table import Table

from gateway.core.classifier.excerpt import Excerpt
from gateway.core.classifier.model import Weights, judge
from gateway.core.policy import Policy
from gateway.operator.console import print_table, say
from gateway.operator.levels import shares_of, shares_table
from gateway.operator.pulls import Pull, reasons_of

MAX_TEXT = 60  # characters of a part that are shown


def judged_by(weights: Weights, excerpt: Excerpt | None, lean: float) -> dict[str, Any] | None:
    """As JSON: the level, its confidence, all probabilities, and what pulled where. None where
    there is nothing to judge."""
    found = judge(weights, excerpt, lean) if excerpt else None
    if excerpt is None or found is None:
        return None
    reasons = reasons_of(weights, excerpt, found)
    return {
        "level": found.level,
        "confidence": round(found.confidence, 4),
        "probabilities": shares_of(found),
        "rival": reasons.rival,
        "pulls": [_pull(each) for each in reasons.pulls],
        "form": _pull(reasons.form),
    }


def _pull(pull: Pull) -> dict[str, Any]:
    text = {} if pull.text is None else {"text": pull.text}
    return {**text, "toward": pull.toward, "by": round(pull.by, 3)}


def say_judged(judged: dict[str, Any], policy: Policy) -> None:
    """The same for people, after the decision."""
    level, confidence, settings = judged["level"], judged["confidence"], policy.classifier
    sure = ""
    if settings.mode == "hybrid":
        share = policy.share_of(policy.by_level[level], list(judged["probabilities"].values()))
        place = "at least" if settings.trusts(share) else "below"
        sure = f", {place} min_confidence {settings.min_confidence:g}"
    say(f"level  {level} by the embedded model, confidence {confidence:.2f}{sure}")
    shares = judged["probabilities"]
    print_table(shares_table(shares, level))
    if max(shares.values()) > shares[level]:
        say(f"{level} though another is more probable: the weights lean, and so does `lean`")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("pulls toward", "by", "what"):
        table.add_column(column, no_wrap=column == "what")
    form = {**judged["form"], "text": "(its length and form)"}
    parts = [*judged["pulls"], form]
    parts.sort(key=lambda each: (each["toward"] != level, -each["by"]))
    for each in parts:
        text = " ".join(each["text"].split())
        shown = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
        table.add_row(each["toward"], f"{each['by']:.2f}", shown)
    print_table(table)
