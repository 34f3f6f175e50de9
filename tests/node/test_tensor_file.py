"""Our writer against the library's reader."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load

from gossipfl.node.tensor_file import tensor_file


@pytest.mark.parametrize("odd", range(1, 9))
def test_the_library_reads_what_we_write(odd: int) -> None:
    rng = np.random.default_rng(odd)
    tensors: dict[str, NDArray[Any]] = {
        "a" * odd: rng.standard_normal((odd, 3)).astype(np.float32),
        "number": np.array(7, np.int64),
        "none": np.zeros((0, 4), np.float32),
        "exact": rng.standard_normal(odd),
    }
    read = load(b"".join(tensor_file(tensors, {"note": "ε"})))
    assert read.keys() == tensors.keys()
    assert all(read[name].dtype == tensors[name].dtype for name in tensors)
    assert all(np.array_equal(read[name], tensors[name]) for name in tensors)


def test_metadata_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.writelines(tensor_file({"a": np.ones(2, np.float32)}, {"note": "ε"}))
    with safe_open(path, framework="numpy") as opened:
        assert opened.metadata() == {"note": "ε"}
