"""A node's durable memory: what it needs to go on after kill -9 at any moment.

    checkpoint-00000012.safetensors    tensors: state, unmixed, books, outer step, moments; the rest as JSON metadata

A file is written beside its place, fsynced, renamed, and the folder fsynced; the one before is kept. Each carries a
BLAKE3 of everything else in it, so that a torn or rotten file is noticed, set aside as `….corrupt`, and the one before
is taken. No noise or sampling secret is in it.
"""

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from gossipfl.core.messages import Receipt
from gossipfl.core.outer import Outer
from gossipfl.core.snapshot import Snapshot
from gossipfl.durable import fsync_folder
from gossipfl.errors import ModelError, StateError
from gossipfl.node.saved_mass import mass_of, mass_tensors, mass_weights
from gossipfl.node.tensor_file import mapped_tensors, tensor_file
from gossipfl.state import AdapterSpec, AdapterState, Segment

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 5
KEPT = 2
UNREADABLE = (OSError, SafetensorError, KeyError, TypeError, ValueError, ModelError)
"""What a damaged file raises."""
_LOOKS = 100
_NAME = re.compile(r"checkpoint-(\d{8})\.safetensors")
_OPTIMIZER = "optimizer/"
_SLOW, _MOMENTUM = "outer/slow", "outer/momentum"


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """One checkpoint.

    Attributes:
        snapshot: the protocol's durable state, with `unmixed`.
        optimizer: moments by name, as the learner gave them.
        branch: what the run was rolled back to; empty: it never was. See `core.common`.
    """

    snapshot: Snapshot[AdapterState]
    optimizer: Mapping[str, NDArray[Any]]
    branch: str = ""

    @property
    def state(self) -> AdapterState:
        """The node's adapter."""
        return self.snapshot.state


def save_checkpoint(folder: Path, saved: Saved) -> Path:
    """Makes a checkpoint durable and forgets all but the one before it.

    Raises:
        StateError: the disk is full or the folder cannot be written; the checkpoints before are untouched.
    """
    number = max(_numbers(folder), default=0) + 1
    path = folder / f"checkpoint-{number:08d}.safetensors"
    write_saved(path, saved)
    for old in sorted(_numbers(folder))[:-KEPT]:
        (folder / f"checkpoint-{old:08d}.safetensors").unlink(missing_ok=True)
    return path


def write_saved(path: Path, saved: Saved, *, salt: str = "") -> str:
    """Writes one checkpoint durably; its digest, hex.

    Args:
        salt: random; with it the digest may be told: it says nothing of what is in the file.

    Raises:
        StateError: it could not be written.
    """
    tensors, about = _tensors(saved), _describe(saved) | ({"salt": salt} if salt else {})
    digest = _digest(about, tensors)
    write_durably(path, tensor_file(tensors, {"gossipfl": json.dumps({**about, "digest": digest})}))
    return digest


def read_saved(path: Path) -> tuple[Saved, str]:
    """One checkpoint and its digest.

    Raises:
        StateError: it is not there, damaged, or of a newer version.
    """
    try:
        return _load(path)
    except UNREADABLE as error:
        raise StateError(f"{path} cannot be read, or is damaged: {error}") from error


def moments_of(path: Path) -> dict[str, NDArray[Any]]:
    """The optimizer's moments in a checkpoint that was just written, mapped: two adapters less in memory."""
    return {
        name.removeprefix(_OPTIMIZER): tensor
        for name, tensor in mapped_tensors(path).items()
        if name.startswith(_OPTIMIZER)
    }


def write_durably(path: Path, payload: bytes | Iterable[bytes | memoryview]) -> None:
    """Replaces a file atomically: write beside it, fsync, rename, fsync of the folder.

    Args:
        payload: what it shall hold, whole or in parts.

    Raises:
        StateError: it could not be written; the file as it was is untouched.
    """
    beside = path.with_suffix(path.suffix + ".part")
    try:
        with beside.open("wb") as file:
            file.writelines([payload] if isinstance(payload, bytes) else payload)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StateError(f"{path} cannot be written: {error.strerror}; the checkpoint before it is intact") from error


def load_latest(folder: Path) -> Saved | None:
    """The newest intact checkpoint; `None` in a new folder. Its node may go on meanwhile.

    Raises:
        StateError: there are checkpoints and none of them is intact, or they come from a newer version.
    """
    for _ in range(_LOOKS):
        try:
            return _newest(folder)
        except FileNotFoundError:
            # its node has made newer ones since the folder was listed
            continue
    raise StateError(f"{folder}: its checkpoints were gone {_LOOKS} times before they could be read")


def _newest(folder: Path) -> Saved | None:
    corrupt: list[Path] = []
    for number in sorted(_numbers(folder), reverse=True):
        path = folder / f"checkpoint-{number:08d}.safetensors"
        try:
            saved, _ = _load(path)
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            logger.warning("corrupt checkpoint %s (%s): taking the one before it", path, error)
            corrupt.append(path)
            continue
        # out of the way, or the next save would count it as one of those to keep
        for path in corrupt:
            path.replace(path.with_suffix(".corrupt"))
        return saved
    if corrupt:
        raise StateError(f"{folder} holds {len(corrupt)} checkpoints and none is intact; restore one or move them away")
    return None


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]


def _tensors(saved: Saved) -> dict[str, NDArray[Any]]:
    moments = {_OPTIMIZER + name: np.asarray(value, order="C") for name, value in saved.optimizer.items()}
    unmixed = saved.snapshot.unmixed
    if unmixed is None:
        raise ValueError("a node keeps what it would be unmixed")
    books = mass_tensors(saved.snapshot.mass)
    outer = _outer_tensors(saved.snapshot.outer)
    return {"state": saved.snapshot.state.vector, "unmixed": unmixed.vector, **books, **outer, **moments}


def _outer_tensors(outer: Outer[AdapterState] | None) -> dict[str, NDArray[Any]]:
    states = {} if outer is None else {_SLOW: outer.slow, _MOMENTUM: outer.momentum}
    return {name: state.vector for name, state in states.items() if state is not None}


def _outer(tensors: Mapping[str, NDArray[Any]], spec: AdapterSpec) -> Outer[AdapterState] | None:
    """Since schema 4, of protocols that have one."""
    slow, momentum = (AdapterState(spec, tensors[name]) if name in tensors else None for name in (_SLOW, _MOMENTUM))
    return None if slow is None else Outer(slow, momentum)


def _digest(about: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> str:
    """Over the description, and over name, type, shape and bytes of every tensor."""
    layout = [[name, tensors[name].dtype.str, list(tensors[name].shape)] for name in sorted(tensors)]
    digest = blake3(json.dumps([about, layout], sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _describe(saved: Saved) -> dict[str, Any]:
    snapshot, receipt = saved.snapshot, saved.snapshot.receipt
    return {
        "schema": SCHEMA_VERSION,
        "spec": [[segment.name, list(segment.shape), segment.shared] for segment in snapshot.state.spec.segments],
        "branch": saved.branch,
        "phase": snapshot.phase,
        "step": snapshot.step,
        "round": snapshot.round,
        "exhausted": snapshot.exhausted,
        "settle_rounds": snapshot.settle_rounds,
        "mass": mass_weights(snapshot.mass),
        # hex floats: exact, and infinity (no privacy) has one
        "receipt": [receipt.steps, receipt.charges, receipt.head, receipt.epsilon.hex(), receipt.delta.hex()],
    }


def _load(path: Path) -> tuple[Saved, str]:
    with safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["gossipfl"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    if about["schema"] > SCHEMA_VERSION:
        raise StateError(f"{path} was written by a newer gossipfl (schema {about['schema']}): update this node")
    digest = about.pop("digest")
    if digest != _digest(about, tensors):
        raise ValueError("it does not have the recorded digest")
    spec = AdapterSpec(tuple(Segment(name, tuple(shape), shared) for name, shape, shared in about["spec"]))
    state = AdapterState(spec, tensors["state"])
    saved = Saved(
        snapshot=_snapshot(about, state, tensors),
        optimizer={name.removeprefix(_OPTIMIZER): tensors[name] for name in tensors if name.startswith(_OPTIMIZER)},
        # since schema 5
        branch=about.get("branch", ""),
    )
    return saved, digest


def _unmixed(schema: int, state: AdapterState, tensors: Mapping[str, NDArray[Any]]) -> AdapterState:
    if schema == 1:
        # it held the difference instead
        return state - AdapterState(state.spec, tensors["drift"])
    return AdapterState(state.spec, tensors["unmixed"])


def _snapshot(
    about: Mapping[str, Any], state: AdapterState, tensors: Mapping[str, NDArray[Any]]
) -> Snapshot[AdapterState]:
    steps, charges, head, epsilon, delta = about["receipt"]
    return Snapshot(
        state=state,
        unmixed=_unmixed(about["schema"], state, tensors),
        phase=about["phase"],
        step=about["step"],
        round=about["round"],
        exhausted=about["exhausted"],
        settle_rounds=about["settle_rounds"],
        # since schema 3
        mass=mass_of(about.get("mass"), tensors, state.spec),
        outer=_outer(tensors, state.spec),
        receipt=Receipt(steps, charges, head, float.fromhex(epsilon), float.fromhex(delta)),
    )
