"""Common checkpoints in a node's state directory.

    common/6-1a2b3c4d/signed.jsonl         the plan, then statements, signed, one a line: what a third party verifies
    common/6-1a2b3c4d/state.safetensors    this node's own state, as in a checkpoint; stays here

Both are replaced as a whole and durably; the state before the statement that tells of it.
"""

import logging
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from gossipfl.core.common import Plan
from gossipfl.core.papers import Paper, read_paper
from gossipfl.durable import fsync_folder
from gossipfl.errors import StateError
from gossipfl.node.checkpoint import Saved, read_saved, write_durably, write_saved

logger = logging.getLogger(__name__)
KEPT = 4
"""Common checkpoints; the oldest goes."""
SIGNED = "signed.jsonl"
_STOPPED = "stopped"


class CommonFiles:
    """Of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "common"

    def keys(self) -> list[str]:
        """Of all there are, oldest first."""
        if not self.path.is_dir():
            return []
        found = [folder for folder in self.path.iterdir() if (folder / SIGNED).is_file()]
        return [folder.name for folder in sorted(found, key=lambda folder: folder.stat().st_mtime_ns)]

    def signed(self, key: str) -> Path:
        """The file with plan and statements."""
        return self.path / key / SIGNED

    def stored(self) -> Iterator[tuple[str, list[Paper]]]:
        """Every one that can be read, oldest first."""
        for key in self.keys():
            try:
                yield key, read_signed(self.signed(key))
            except StateError as error:
                logger.warning("%s: it is left out", error)

    def write(self, plan: Plan, papers: Sequence[Paper]) -> None:
        """Makes the papers of a plan durable; a new plan takes the place of the oldest one."""
        folder = self.path / plan.key
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
            fsync_folder(self.path)
        write_durably(folder / SIGNED, b"".join(paper.line + b"\n" for paper in papers))
        for old in [key for key in self.keys() if key != plan.key][: -(KEPT - 1)]:
            shutil.rmtree(self.path / old, ignore_errors=True)

    def keep(self, plan: Plan, saved: Saved) -> str:
        """Makes the node's own state durable; its digest, which tells nothing."""
        return write_saved(self._state(plan.key), saved, salt=secrets.token_hex(32))

    def kept(self, key: str) -> tuple[Saved, str]:
        """The node's own state and its digest.

        Raises:
            StateError: it is not there, or damaged.
        """
        return read_saved(self._state(key))

    def mark_stopped(self, key: str) -> None:
        """Notes that the node has ended by a plan: started again, it goes on."""
        write_durably(self.path / key / _STOPPED, b"")

    def has_stopped(self, key: str) -> bool:
        """Whether it has; else it was killed before, and still has to."""
        return (self.path / key / _STOPPED).exists()

    def _state(self, key: str) -> Path:
        return self.path / key / "state.safetensors"


def read_signed(path: Path) -> list[Paper]:
    """Plan and statements in a file, nothing verified.

    Raises:
        StateError: it cannot be read, or holds something else.
    """
    try:
        return [read_paper(line) for line in path.read_bytes().splitlines()]
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StateError(f"{path} is no signed common checkpoint: {error}") from error
