"""The gateway beside nginx on one machine, in one run: `python -m bench`. See README.md."""
