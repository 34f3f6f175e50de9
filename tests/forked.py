"""Node processes that begin with all imports done; in `tests/node/test_fleet_of_three.py` one begins as users' do."""

from gossipfl.studies.forked import launcher

forked = launcher(["tests.preloaded"])
