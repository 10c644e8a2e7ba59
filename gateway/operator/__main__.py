"""`python -m gateway.operator` is `tiergate`."""

from gateway.operator.cli import main

main()
