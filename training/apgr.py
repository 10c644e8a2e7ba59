"""RouteLLM's measure on its own MMLU rows: the average performance gap recovered.

Each row says whether a weak model (Mixtral 8x7B) and a strong one (GPT-4) answered it rightly. The
hardest share of them goes to the strong one; the gap recovered is how much of the way from the weak
model's accuracy to the strong one's that goes, averaged over all shares. Chance has 0.5, RouteLLM's
best router 0.603 (https://arxiv.org/abs/2406.18665). An exam question's wording says little of
whether a certain model knows its answer: that is not what the levels mean.
"""

import json

from gateway.core.classifier.model import Weights, judge
from gateway.operator.requests_file import excerpt_of
from training.rows import DATA
from training.score import FIRST_HARD


def mmlu_apgr(weights: Weights) -> float:
    with (DATA / "mmlu.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    ordered = sorted(rows, key=lambda row: -_hardness(weights, row["text"]))
    return apgr([(row["weak_correct"], row["strong_correct"]) for row in ordered])


def apgr(answers: list[tuple[int, int]]) -> float:
    """Of (weak, strong) right or wrong, hardest first."""
    weak = sum(each for each, _ in answers)
    gap = sum(strong for _, strong in answers) - weak
    recovered = total = 0.0
    for low, high in answers:
        before = recovered
        recovered += (high - low) / gap
        total += (before + recovered) / 2
    return total / len(answers)


def _hardness(weights: Weights, text: str) -> float:
    excerpt = excerpt_of(text)
    found = judge(weights, excerpt) if excerpt else None
    return sum(found.probabilities[FIRST_HARD:]) if found else 0.0
