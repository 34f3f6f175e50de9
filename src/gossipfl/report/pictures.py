"""Pictures as files: no display, no date, no random ids; equal pictures are equal files."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

FORMATS = ("png", "svg")


def save_formats(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes it in every format of `FORMATS`, by this name; gives the files.

    Raises:
        OSError: a file cannot be written.
    """
    paths = [folder / f"{name}.{ending}" for ending in FORMATS]
    for path in paths:
        save_picture(figure, path)
    return paths


def save_picture(figure: Figure, path: Path) -> None:
    """Writes it; the ending (png, svg, pdf) decides the format.

    Raises:
        OSError: the file cannot be written.
    """
    with mpl.rc_context({"svg.hashsalt": "gossipfl"}):
        figure.savefig(path, dpi=150, metadata=_undated(path))


def _undated(path: Path) -> dict[str, str | None]:
    match path.suffix.lower():
        case ".svg":
            return {"Date": None}
        case ".pdf":
            return {"CreationDate": None}
        case _:
            return {}
