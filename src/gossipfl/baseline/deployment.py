"""Flower's deployment on loopback: one `flower-superlink`, one `flower-supernode` a client, TLS, known keys.

    this process ── starts, watches, ends ──> flower-superlink ──> flower-superexec ──> the ServerApp, all rounds
                                         ──> flower-supernode ──> flower-superexec ──> a ClientApp for each message
                 <── JSON lines in a file: progress, and at last the outcome or what went wrong

All that Flower keeps lies in a temporary folder; what its processes say goes to flower-*.log in the run's folder.
"""

from collections.abc import Iterator
from dataclasses import replace

from gossipfl.baseline.credentials import make_credentials
from gossipfl.baseline.environment import home
from gossipfl.baseline.flower_app import write_app
from gossipfl.baseline.flower_commands import FlowerCommands
from gossipfl.baseline.loopback_site import LoopbackSite, loopback_environment
from gossipfl.baseline.ports import Opening, free_ports
from gossipfl.baseline.processes import family
from gossipfl.baseline.recorder import Outcome
from gossipfl.baseline.trial import Trial
from gossipfl.baseline.voice import follow
from gossipfl.baseline.watch import Wards, Watch, told_lines
from gossipfl.runs.progress import Progress

START_S = 300.0
"""Seconds in which a server has to answer after it was started: some, on a machine that is busy otherwise."""


def run_deployed(trial: Trial, ports: Iterator[int] | None = None) -> Outcome:
    """All rounds of a trial.

    Args:
        ports: of loopback to be tried, for each process another; None: any that are free.

    Raises:
        NetworkError: no port is free.
        TrainingError: Flower ended without a result; the message names a log.
    """
    with family(loopback_environment(home() / "temporary")) as members:
        site = LoopbackSite(trial, members, home(), make_credentials(home() / "keys", trial.roster.names))
        opening = Opening(site.credentials.authority, ports or free_ports(), START_S)
        superlink = opening.open({"flower-superlink": site.superlink()})["flower-superlink"]
        commands = FlowerCommands(members, site.home / "commands", site.log("commands"))
        commands.connect(superlink.port, site.credentials.authority)
        keys = [site.credentials.clients[name].public for name in trial.roster.names]
        numbers = dict(zip(trial.roster.names, commands.register(keys), strict=True))
        supernodes = opening.open(site.supernodes(superlink.port))
        run = commands.run(write_app(site.home / "app"), site.run_settings(list(numbers.values())))
        wards = Wards(superlink.child, {name: served.child for name, served in supernodes.items()}, site.log)
        limit_s = START_S + 2 * trial.experiment.flower.timeout_s
        outcome = _followed(site, Watch(wards, lambda name: commands.unregister(numbers[name]), limit_s))
        return replace(outcome, flower_bytes=commands.traffic(run))


def _followed(site: LoopbackSite, watch: Watch) -> Outcome:
    def show(now: Progress) -> None:
        watch.running()
        site.trial.show(now)

    outcome = follow(told_lines(site.told, watch), show, watch.begun)
    assert outcome is not None  # noqa: S101  # the lines have no end but by an error
    return outcome
