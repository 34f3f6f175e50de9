"""A folder of images, in it one folder a class: the form that `datasets` calls imagefolder.

scans/healthy/a.png     scans/ill/b.jpg     or beneath scans/train/ and scans/test/
"""

from pathlib import Path

import datasets

from gossipfl.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Of what counts as an image; anything else beside them is no record."""
_SPLITS = ("train", "test")


def holds_classes(path: Path) -> bool:
    """Whether a folder looks like one: an image lies in a folder in it."""
    return any(_images(folder) for top in _tops(path, "train") for folder in _classes(top))


def read_folder(path: Path, split: str = "train") -> datasets.Dataset:
    """The table of a folder, columns `image` and `label`, by class and then by name.

    Args:
        split: the folder in it that is meant, where it has `train` or `test`.

    Guarantees:
        Links are not followed out of the folder.

    Raises:
        DataError: no image is there, or a file leads out of the folder.
    """
    files = [file for top in _tops(path, split) for folder in _classes(top) for file in _images(folder)]
    if not files:
        raise DataError(f"data {path} holds no folder of images for any class ({', '.join(ENDINGS)})")
    home = path.resolve()
    for file in files:
        if not file.resolve().is_relative_to(home):
            raise DataError(f"data file {file} is a link out of {path}")
    features = datasets.Features({"image": datasets.Image(decode=False), "label": datasets.Value("string")})
    images = [{"bytes": file.read_bytes(), "path": None} for file in files]
    return datasets.Dataset.from_dict({"image": images, "label": [file.parent.name for file in files]}, features)


def _tops(path: Path, split: str) -> list[Path]:
    """Where the classes lie: in the split's folder, if the folder is divided, otherwise in itself."""
    divided = any((path / name).is_dir() and not _images(path / name) for name in _SPLITS)
    return [path / split] if divided else [path]


def _classes(top: Path) -> list[Path]:
    return sorted(folder for folder in top.iterdir() if folder.is_dir()) if top.is_dir() else []


def _images(folder: Path) -> list[Path]:
    # what begins with a dot was left behind by a file manager
    found = (file for file in folder.iterdir() if file.suffix.lower() in ENDINGS and not file.name.startswith("."))
    return sorted(file for file in found if file.is_file())
