"""Flower's own programs on ports that are taken, by themselves: another is found for each."""

import socket
from itertools import chain
from pathlib import Path

import pytest
from tests.baseline.flower_runs import small
from tests.sim.training import load

from gossipfl.baseline.credentials import make_credentials
from gossipfl.baseline.environment import SETTINGS
from gossipfl.baseline.flower_commands import FlowerCommands
from gossipfl.baseline.loopback_site import LoopbackSite, loopback_environment
from gossipfl.baseline.ports import Opening, free_ports
from gossipfl.baseline.processes import family
from gossipfl.baseline.trial import Trial
from gossipfl.config.addresses import LOOPBACK
from gossipfl.config.loading import dump_experiment
from gossipfl.errors import TrainingError
from gossipfl.runs.roster import Roster
from gossipfl.runs.run_directory import RunDirectory

WAIT_S = 600.0


def trial_of(folder: Path) -> Trial:
    loaded = load(folder, small(simulation__nodes=2))
    directory = RunDirectory(folder / "run", dump_experiment(loaded.experiment), resume=False)
    return Trial(loaded.experiment, Roster(("n0",), folder), directory, lambda _: None)


@pytest.mark.slow
def test_servers_of_flower_move_on_and_clients_it_does_not_know_stay_out(tmp_path: Path) -> None:
    keys, unknown = make_credentials(tmp_path / "keys", ["n0"]), make_credentials(tmp_path / "unknown", ["n0"])
    with (
        family({**loopback_environment(tmp_path / "temporary"), **SETTINGS}) as members,
        socket.create_server((LOOPBACK, 0)) as holder,
    ):
        taken, free = holder.getsockname()[1], free_ports()
        ports = chain([taken, next(free), taken], free)
        site, opening = (
            LoopbackSite(trial_of(tmp_path), members, tmp_path, keys),
            Opening(keys.authority, ports, WAIT_S),
        )
        superlink = opening.open({"superlink": site.superlink()})["superlink"]
        commands = FlowerCommands(members, tmp_path / "commands", site.log("commands"))
        commands.connect(superlink.port, keys.authority)

        stranger = opening.open(site.supernodes(superlink.port))["n0"]
        assert taken not in (superlink.port, stranger.port)
        # its key is not registered
        assert stranger.child.wait(WAIT_S) != 0
        with pytest.raises(TrainingError, match=r"flwr supernode register: .*; see .*flower-commands.log"):
            commands.register([unknown.authority])
