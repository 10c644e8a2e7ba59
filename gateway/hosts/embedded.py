"""Where the weights are that are built in. A module of its own: training imports it to write them
anew when those that are there cannot be read."""

from pathlib import Path

EMBEDDED = Path(__file__).parents[1] / "core" / "classifier" / "embedded.weights"
