"""`python -m edgebake`: the same as the command `edgebake`."""

from edgebake.cli import main

main()
