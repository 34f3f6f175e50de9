"""The adapter that a run ends with, in its folder: the mean over the nodes, or what the server has."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gossipfl.errors import StateError
from gossipfl.state import AdapterSpec, AdapterState

NAME = "adapter.safetensors"
_VECTOR, _LAYOUT = "vector", "layout"


def write_adapter(folder: Path, state: AdapterState) -> None:
    """Writes the flat vector, with the digest of its layout."""
    save_file({_VECTOR: state.vector}, folder / NAME, metadata={_LAYOUT: state.spec.digest})


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
