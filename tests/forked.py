"""Node processes that begin with all imports done; `tests/node/test_fleet_of_three.py` starts its nodes as users do."""

from gossipfl.studies.forked import launcher

forked = launcher(["tests.preloaded"])
