"""`python -m gossipfl`: the command, by this interpreter."""

from gossipfl.cli.app import run

run()
