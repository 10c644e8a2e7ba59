"""`python -m training train|evaluate`: the embedded model's weights, and how good they are."""

import argparse
import sys
import time
from pathlib import Path

from gateway.hosts.embedded import EMBEDDED


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train, and write the weights file")
    train.add_argument("--out", type=Path, default=EMBEDDED, help="where to (%(default)s)")
    evaluate = commands.add_parser("evaluate", help="print the table of figures")
    evaluate.add_argument("--weights", type=Path, default=EMBEDDED)
    evaluate.add_argument("--quick", action="store_true", help="the test split only")
    evaluate.add_argument("--record", action="store_true", help="write training/figures.json")
    evaluate.add_argument("--json", action="store_true", help="one line of JSON, for scripts")
    given = parser.parse_args()
    if given.command == "train":
        return _train(given.out)
    from training.evaluate import run  # noqa: PLC0415 - needs more than training does

    return run(given.weights, is_quick=given.quick, as_json=given.json, record=given.record)


def _train(out: Path) -> int:
    from training import fit, rows  # noqa: PLC0415 - slow to import, and --help needs none

    started = time.monotonic()
    trained, _ = rows.split([*rows.natural(), *rows.sources()])
    print(f"train: {len(trained)} rows", file=sys.stderr)
    data, about = fit.train(trained)
    out.write_bytes(data)
    print(f"train: {out}: {about}, {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
