"""How the embedded classifier is trained and measured: `python -m training --help`."""
