"""docs/flower-deployment.md, followed on loopback: two institutions with data of their own, really private."""

import json
import re
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.baseline.own_data import write_experiment, write_records

from gossipfl.baseline.credentials import Credentials, make_credentials
from gossipfl.baseline.environment import SETTINGS
from gossipfl.baseline.flower_app import Settings, app_text, write_app, write_settings
from gossipfl.baseline.flower_commands import FlowerCommands, program
from gossipfl.baseline.loopback_site import loopback_environment
from gossipfl.baseline.ports import Opening, Served, Startable, free_ports
from gossipfl.baseline.processes import Family, family
from gossipfl.config.addresses import LOOPBACK
from gossipfl.runs.adapter_file import NAME

PAGE = Path(__file__).parents[2] / "docs" / "flower-deployment.md"
NAMES = ("a", "b")
WAIT_S = 900.0


def test_the_pages_app_is_the_one_that_the_command_makes() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert app_text() in blocks
    assert all(tomllib.loads(block) for block in blocks)


@dataclass(frozen=True, slots=True)
class Study:
    """A server and institutions, each with a folder of its own."""

    folder: Path
    members: Family
    keys: Credentials
    opening: Opening
    commands: FlowerCommands

    def open(self, name: str, *command: str) -> Served:
        log = self.folder / f"{name}.log"
        home = {"FLWR_HOME": str(self.folder / name / "flower")}

        def start(port: int) -> Any:
            return self.members.start([*command, "--host", LOOPBACK, "--port", str(port)], log, environment=home)

        return self.opening.open({name: Startable(start, log)})[name]

    def open_server(self) -> Served:
        shown = self.keys.server
        tls = ["--ssl-certfile", str(shown.certificate), "--ssl-keyfile", str(shown.key)]
        tls += ["--ssl-ca-certfile", str(self.keys.authority)]
        switches = ["--enable-supernode-auth", "--disable-runtime-dependency-installation"]
        return self.open("server", program("flower-superlink"), *switches, *tls)

    def open_client(self, number: int, server: Served) -> Served:
        name = NAMES[number]
        mine = self.folder / name
        settings: Settings = {
            "partition-id": number,
            "name": name,
            "data": "records.jsonl",
            "experiment": str(write_experiment(mine, **ROUNDS)),
        }
        config = write_settings(mine / "client.toml", settings)
        if not (mine / "records.jsonl").exists():
            write_records(mine / "records.jsonl", number)
        files = self.keys.clients[name]
        tls = ["--ssl-certfile", str(files.tls.certificate), "--ssl-keyfile", str(files.tls.key)]
        command = [program("flower-supernode"), "--superlink", f"{LOOPBACK}:{server.port}", *tls]
        command += ["--ssl-ca-certfile", str(self.keys.authority), "--root-certificates", str(self.keys.authority)]
        command += ["--auth-supernode-private-key", str(files.private), "--node-config", str(config)]
        return self.open(name, *command)

    def run(self, number: int, **changes: object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """One run to its end, the server's experiment changed: its last lines."""
        output = self.folder / f"run-{number}"
        experiment = write_experiment(self.folder / "server", **{**ROUNDS, **changes})
        settings = write_settings(
            self.folder / f"run-{number}.toml", {"experiment": str(experiment), "output": str(output)}
        )
        if not (app := self.folder / "app").exists():
            write_app(app)
        self.commands.run(app, settings)
        end = time.monotonic() + WAIT_S
        while not (output / NAME).exists():
            assert time.monotonic() < end, (self.folder / "server.log").read_text()
            time.sleep(0.5)
        metrics, nodes = ((output / f"{name}.jsonl").read_text().splitlines() for name in ("metrics", "nodes"))
        return json.loads(metrics[-1]), json.loads(nodes[-1])


ROUNDS = {"training__phases": 2, "simulation__nodes": 2, "flower__timeout_s": WAIT_S}


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with family({**loopback_environment(tmp_path / "temporary"), **SETTINGS}) as members:
        keys = make_credentials(tmp_path / "keys", NAMES)
        opening = Opening(keys.authority, free_ports(), WAIT_S)
        yield Study(
            tmp_path, members, keys, opening, FlowerCommands(members, tmp_path / "commands", tmp_path / "commands.log")
        )


@pytest.mark.slow(90)
def test_the_ledger_counts_on_over_rounds_runs_and_restarts_and_nothing_private_is_told(study: Study) -> None:
    server = study.open_server()
    study.commands.connect(server.port, study.keys.authority)
    study.commands.register([study.keys.clients[name].public for name in NAMES])
    clients = [study.open_client(number, server) for number in range(2)]
    metrics, first = study.run(1)
    assert metrics["clients"] == 2
    assert first["step"] == [6, 6]
    assert all(value is None for key, value in metrics.items() if key.endswith(("_loss", "_accuracy")))
    assert min(first["epsilon"]) > 0

    # killed outright it would be refused for a minute: Flower's server takes it for alive so long
    clients[0].child.terminate()
    clients[0].child.wait(WAIT_S)
    study.open_client(0, server)
    _, second = study.run(2, training__phases=1)
    assert second["step"] == [3, 3]
    assert all(later > before for later, before in zip(second["epsilon"], first["epsilon"], strict=True))
    for name in NAMES:
        assert (study.folder / name / "records.jsonl.ledger.sqlite").exists()
