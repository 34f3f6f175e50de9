"""The adapter that a run ends with, in its folder: the mean over the nodes, or what the server has."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gossipfl.errors import StateError
from gossipfl.state import AdapterSpec, AdapterState

NAME = "adapter.safetensors"
STATES = "states"
_VECTOR, _LAYOUT = "vector", "layout"


def write_adapter(folder: Path, state: AdapterState) -> None:
    """Writes the flat vector, with the digest of its layout."""
    save_file({_VECTOR: state.vector}, folder / NAME, metadata={_LAYOUT: state.spec.digest})


def write_states(folder: Path, states: Mapping[str, AdapterState]) -> None:
    """Writes the last state of every node of a run."""
    for name, state in states.items():
        place = folder / STATES / name
        place.mkdir(parents=True, exist_ok=True)
        write_adapter(place, state)


def state_folders(folder: Path) -> dict[str, Path]:
    """Where `write_states` has put each node's state, by name; empty where it has not."""
    return {place.name: place for place in sorted((folder / STATES).glob("*")) if (place / NAME).exists()}


def read_adapter(folder: Path, spec: AdapterSpec) -> AdapterState:
    """What `write_adapter` wrote.

    Raises:
        StateError: there is none, it is damaged, or of another layout.
    """
    path = folder / NAME
    try:
        with safe_open(path, framework="numpy") as file:
            layout, vector = (file.metadata() or {}).get(_LAYOUT), file.get_tensor(_VECTOR)
    except (OSError, SafetensorError) as error:
        raise StateError(f"{path} cannot be read: {error}") from error
    if layout != spec.digest:
        raise StateError(f"{path} belongs to another adapter")
    return AdapterState(spec, vector)
