"""A run's inner state on disk, so that a stopped run goes on exactly where it was.

The machines are pickled as they are, without what configuration builds anew: objects that are `shared` are written as
their names. A checkpoint is read back by classes of this package and arrays alone, so that a file somebody has put
there cannot call anything else; and only a file that this very run's configuration wrote is read.
"""

import pickle
from collections.abc import Mapping
from typing import Any, BinaryIO

from gossipfl.errors import StateError
from gossipfl.runs.checkpoint_file import Sink

_ALLOWED = frozenset(
    {
        ("builtins", "set"),
        ("builtins", "frozenset"),
        ("collections", "Counter"),
        ("collections", "deque"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
    }
)


class _Writer(pickle.Pickler):
    def __init__(self, file: Sink, shared: Mapping[int, str]) -> None:
        super().__init__(file, protocol=5)
        self._shared = shared

    def persistent_id(self, obj: Any) -> str | None:  # noqa: ANN401  # whatever there is
        return self._shared.get(id(obj))


class _Reader(pickle.Unpickler):
    def __init__(self, file: BinaryIO, shared: Mapping[str, object]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, pid: str) -> object:
        return self._shared[pid]

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) in _ALLOWED or (module.startswith("gossipfl.") and "." not in name):
            found = super().find_class(module, name)
            # a class of ours, never a function of ours
            if (module, name) in _ALLOWED or isinstance(found, type):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a checkpoint")


def freeze(value: object, shared: Mapping[str, object], sink: Sink) -> None:
    """Writes the value; objects in `shared` are written as their names."""
    _Writer(sink, {id(item): name for name, item in shared.items()}).dump(value)


def thaw(file: BinaryIO, shared: Mapping[str, object]) -> Any:  # noqa: ANN401  # what was frozen
    """What `freeze` was given.

    Raises:
        StateError: the bytes hold something else.
    """
    try:
        return _Reader(file, shared).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError) as error:
        raise StateError(f"a checkpoint cannot be read: {error}") from error
