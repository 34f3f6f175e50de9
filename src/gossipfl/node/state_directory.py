"""A node's folder: checkpoints, incarnation, metrics, the log of publications, and a lock: two nodes never share it."""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from gossipfl.core.handshake import LedgerHead
from gossipfl.durable import fsync_folder
from gossipfl.errors import StateError
from gossipfl.node.checkpoint import write_durably
from gossipfl.privacy.signing import make_key_pem

_RUN = "run"
_FINGERPRINT = "fingerprint.json"


def run_name_in(path: Path) -> str | None:
    """What the ledger calls the run of a state directory; None where nothing ran. Takes no lock."""
    with suppress(OSError, UnicodeDecodeError):
        return (path / _RUN).read_text()
    return None


class StateDirectory:
    """The state directory of one node, locked while this object is open.

    Raises:
        StateError: the folder cannot be made or another process runs on it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            self._lock: IO[str] = (path / "lock").open("w")
        except OSError as error:
            raise StateError(f"the state directory {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise StateError(f"another process runs a node on the state directory {path}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    @property
    def metrics(self) -> Path:
        """Where a JSON line is added for every phase."""
        return self.path / "metrics.jsonl"

    @property
    def publications(self) -> Path:
        """The signed log of everything that left this node."""
        return self.path / "publications.jsonl"

    def check_experiment(self, fingerprint: dict[str, str], config: str) -> None:
        """Writes down what the folder belongs to; on later starts compares it.

        Raises:
            StateError: the folder's checkpoints belong to another experiment.
        """
        path = self.path / _FINGERPRINT
        with suppress(FileNotFoundError, json.JSONDecodeError):
            before = json.loads(path.read_text())
            differing = sorted(key for key in fingerprint if before.get(key) != fingerprint[key])
            if differing:
                raise StateError(
                    f"{self.path} belongs to another experiment ({', '.join(differing)} differ): "
                    "use another --state-dir or move it away"
                )
        write_durably(path, json.dumps(fingerprint, indent=1).encode())
        write_durably(self.path / "config.yaml", config.encode())

    def fingerprint(self) -> dict[str, str]:
        """What the folder belongs to.

        Raises:
            StateError: nobody has written it down.
        """
        try:
            return dict(json.loads((self.path / _FINGERPRINT).read_text()))
        except (OSError, ValueError) as error:
            raise StateError(f"{self.path} does not say which experiment it belongs to") from error

    def note_experiment(self, fingerprint: Mapping[str, str]) -> None:
        """Writes down what the folder belongs to from now on: the run goes on on another graph."""
        write_durably(self.path / _FINGERPRINT, json.dumps(dict(fingerprint), indent=1).encode())

    def run_name(self) -> str:
        """What the ledger calls this run: drawn once, the same after every restart."""
        return self._kept(_RUN, lambda: secrets.token_hex(8).encode()).decode()

    def mark_finished(self, end: str) -> None:
        """Notes that the run came to its end, and to which: a longer one is not finished by it."""
        write_durably(self.path / "finished", end.encode())

    def forget_finish(self) -> None:
        """The run goes on from a state before its end; durable on return."""
        (self.path / "finished").unlink(missing_ok=True)
        fsync_folder(self.path)

    def is_finished(self, end: str) -> bool:
        """Whether the run came to this very end in an earlier life."""
        path = self.path / "finished"
        return path.exists() and path.read_bytes() == end.encode()

    def signing_key(self) -> bytes:
        """PEM of a key of this folder's own, for a node that has no certificate (`--insecure`)."""
        return self._kept("signing.key", make_key_pem)

    def load_heads(self) -> dict[str, LedgerHead]:
        """The highest ledger heads that neighbors showed in earlier lives."""
        with suppress(FileNotFoundError, json.JSONDecodeError):
            rows = json.loads((self.path / "heads.json").read_text())
            return {name: LedgerHead(row[0], row[1], row[2], bytes.fromhex(row[3])) for name, row in rows.items()}
        return {}

    def save_heads(self, heads: Mapping[str, LedgerHead]) -> None:
        """Keeps neighbors' ledger heads for the next life."""
        rows = {name: [head.charges, head.hash, head.incarnation, head.signature.hex()] for name, head in heads.items()}
        write_durably(self.path / "heads.json", json.dumps(rows).encode())

    def _kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        path = self.path / name
        if not path.exists():
            write_durably(path, make())
        return path.read_bytes()

    def next_incarnation(self, *, above: int = 0) -> int:
        """A number higher than any this node has used or `above`; durable on return."""
        path = self.path / "incarnation"
        own = 0
        with suppress(FileNotFoundError, ValueError):
            own = int(path.read_text())
        incarnation = max(own, above) + 1
        write_durably(path, f"{incarnation}\n".encode())
        return incarnation

    def append_metrics(self, line: str) -> None:
        """Adds one JSON line; a torn last line of a killed life is ended first."""
        with self.metrics.open("a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(line.encode() + b"\n")
