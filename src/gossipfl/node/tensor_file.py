"""The bytes of a safetensors file without a copy of its tensors; the library makes two.

    size of the header, 8 bytes little-endian | header, JSON | tensor | tensor | …

Source: https://huggingface.co/docs/safetensors (format).
"""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"<f4": "F32", "<f8": "F64", "<i8": "I64"}
_DTYPES = {kind: np.dtype(code) for code, kind in _TYPES.items()}
_SIZE = struct.Struct("<Q")
_ALIGNMENT = 8


def tensor_file(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The file's parts, in order; the tensors are views of their own memory.

    Args:
        tensors: C-contiguous, of fp32, fp64 or int64.
    """
    places, end = dict[str, Any](), 0
    for name, tensor in tensors.items():
        kind = _TYPES[tensor.dtype.newbyteorder("<").str]
        places[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": (end, end + tensor.nbytes)}
        end += tensor.nbytes
    header = json.dumps({"__metadata__": metadata, **places}).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    yield _SIZE.pack(len(header))
    yield header
    for tensor in tensors.values():
        if tensor.size:
            yield tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data


def mapped_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a file that `tensor_file` made, read-only and mapped: they take memory when they are looked at.

    They stay what they are when the file is removed or replaced.
    """
    content = np.memmap(path, np.uint8, mode="r")
    start = _SIZE.size + _SIZE.unpack(content[: _SIZE.size].tobytes())[0]
    header: dict[str, Any] = json.loads(content[_SIZE.size : start].tobytes())
    return {name: _mapped(content[start:], place) for name, place in header.items() if name != "__metadata__"}


def _mapped(content: NDArray[np.uint8], place: Mapping[str, Any]) -> NDArray[Any]:
    first, end = place["data_offsets"]
    tensor: NDArray[Any] = content[first:end].view(_DTYPES[place["dtype"]]).reshape(place["shape"])
    return tensor
