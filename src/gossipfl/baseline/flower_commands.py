"""Flower's programs and commands, run as a user would: `flwr run`, `flwr list`, `flwr supernode register`."""

import json
import os
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gossipfl.baseline.flower_app import write_superlink
from gossipfl.baseline.processes import Family
from gossipfl.errors import TrainingError

LIMIT_S = 180.0
"""Seconds a command may take."""
Answer = dict[str, Any]
"""What `--format json` prints."""


def program(name: str) -> str:
    """Where one of Flower's programs lies: beside the Python that runs this."""
    return str(Path(sysconfig.get_path("scripts")) / name)


class FlowerCommands:
    """Commands to one server.

    Args:
        members: what they are processes of.
        home: Flower's folder for them.
        log: what they say on stderr.
    """

    def __init__(self, members: Family, home: Path, log: Path) -> None:
        self._members, self._home, self._log = members, home, log

    def connect(self, port: int, authority: Path) -> None:
        """Which server they are for."""
        write_superlink(self._home, port, authority)

    def register(self, keys: Sequence[Path]) -> list[int]:
        """Lets SuperNodes with these public keys in; Flower's numbers of them."""
        numbers: list[int] = []
        abreast = os.cpu_count() or 1
        for first in range(0, len(keys), abreast):
            begun = [self._begin("supernode", "register", str(key)) for key in keys[first : first + abreast]]
            numbers += [int(self._answer(child, "supernode register")["node-id"]) for child in begun]
        return numbers

    def unregister(self, node: int) -> None:
        """A SuperNode is not there any more: messages that wait for it are answered by an error."""
        self._answer(self._begin("supernode", "unregister", str(node)), "supernode unregister")

    def run(self, app: Path, settings: Path) -> str:
        """Starts a run; Flower's number of it."""
        return str(self._answer(self._begin("run", str(app), "-c", str(settings)), "run")["run-id"])

    def traffic(self, run: str) -> dict[str, int]:
        """Bytes of all messages of a run as Flower counts them, at its server: inbound, outbound, total."""
        (found,) = self._answer(self._begin("list", "--run-id", run), "list")["runs"]
        return {key.removesuffix("-bytes"): int(size) for key, size in found["network-traffic"].items()}

    def _begin(self, *words: str) -> "subprocess.Popen[str]":
        command = [program("flwr"), *words, "--format", "json"]
        return self._members.start(command, self._log, piped=True, environment={"FLWR_HOME": str(self._home)})

    def _answer(self, child: "subprocess.Popen[str]", command: str) -> Answer:
        """What a command says.

        Raises:
            TrainingError: it failed, or took too long.
        """
        try:
            text, _ = child.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise TrainingError(f"flwr {command} took more than {LIMIT_S:.0f} s; see {self._log}") from error
        answer: Answer = json.loads(text) if text.strip() else {}
        if not answer.get("success"):
            reason = " ".join(str(answer.get("error-message", f"code {child.returncode}")).split())
            raise TrainingError(f"flwr {command}: {reason}; see {self._log}")
        return answer
