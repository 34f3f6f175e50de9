"""The processes of a deployment on loopback: what each is started with, and where each leaves what."""

import os
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gossipfl.baseline.client import PARTITION
from gossipfl.baseline.credentials import Credentials
from gossipfl.baseline.flower_app import Settings, write_settings
from gossipfl.baseline.flower_commands import program
from gossipfl.baseline.ports import Startable
from gossipfl.baseline.processes import Family
from gossipfl.baseline.trial import Trial
from gossipfl.config.addresses import LOOPBACK
from gossipfl.net.certificates import NodeFiles


@dataclass(frozen=True, slots=True)
class LoopbackSite:
    """Starts processes of one run.

    Attributes:
        members: the family they belong to.
        home: temporary folder for all that Flower keeps: a folder in it for each process.
        credentials: whose certificates and keys they show.
    """

    trial: Trial
    members: Family
    home: Path
    credentials: Credentials

    @property
    def told(self) -> Path:
        """Where the server says how far it is, see `voice`."""
        return self.home / "told.jsonl"

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.trial.directory.path.absolute() / f"flower-{name}.log"

    def superlink(self) -> Startable:
        """Flower's server."""
        return Startable(self._start_superlink, self.log("superlink"))

    def supernodes(self, superlink_port: int) -> dict[str, Startable]:
        """A client's node of Flower's, by the client's name."""
        names = self.trial.roster.names
        return {name: Startable(partial(self._start_supernode, name, superlink_port), self.log(name)) for name in names}

    def run_settings(self, order: Sequence[int]) -> Path:
        """What the ServerApp is told, in a file.

        Args:
            order: Flower's numbers of the clients, in the nodes' order.
        """
        settings: Settings = {
            "trial": True,
            "output": str(self.trial.directory.path.absolute()),
            "folder": str(self.trial.roster.folder.absolute()),
            "told": str(self.told),
            "order": " ".join(map(str, order)),
        }
        return write_settings(self.home / "run.toml", settings)

    def _start_superlink(self, port: int) -> "subprocess.Popen[str]":
        command = [program("flower-superlink"), "--host", LOOPBACK, "--port", str(port), "--enable-supernode-auth"]
        command += ["--disable-runtime-dependency-installation", *self._tls(self.credentials.server)]
        return self._start("superlink", command)

    def _start_supernode(self, name: str, superlink_port: int, port: int) -> "subprocess.Popen[str]":
        files = self.credentials.clients[name]
        command = [program("flower-supernode"), "--superlink", f"{LOOPBACK}:{superlink_port}"]
        command += ["--root-certificates", str(self.credentials.authority)]
        command += ["--auth-supernode-private-key", str(files.private)]
        command += ["--host", LOOPBACK, "--port", str(port), *self._tls(files.tls)]
        command += ["--node-config", str(self._node_settings(name))]
        return self._start(name, command)

    def _node_settings(self, name: str) -> Path:
        settings: Settings = {
            PARTITION: self.trial.roster.names.index(name),
            "num-partitions": len(self.trial.roster.names),
            "trial": True,
            "experiment": str(self.trial.directory.path.absolute() / "config.yaml"),
            "folder": str(self.trial.roster.folder.absolute()),
        }
        return write_settings(self.home / f"{name}.toml", settings)

    def _tls(self, files: NodeFiles) -> list[str]:
        shown = {"certfile": files.certificate, "keyfile": files.key, "ca-certfile": self.credentials.authority}
        return [word for key, path in shown.items() for word in (f"--ssl-{key}", str(path))]

    def _start(self, name: str, command: Sequence[str]) -> "subprocess.Popen[str]":
        return self.members.start(command, self.log(name), environment={"FLWR_HOME": str(self.home / name)})


def loopback_environment(temporary: Path) -> Mapping[str, str]:
    """What every process needs: Flower finds its own programs by PATH; a proxy has no business on loopback.

    Args:
        temporary: folder for temporary files, of which a process that is ended leaves some; made here.
    """
    temporary.mkdir()
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY", ""), LOOPBACK, "localhost"]))
    # each of Flower's nodes asks a process of its own for work, by default once a second
    quickly = {"FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1"}
    return {"PATH": path, "NO_PROXY": direct, "no_proxy": direct, "TMPDIR": str(temporary), **quickly}
