"""The folder of a study: new, so that no result can be mistaken for another run's."""

import os
from pathlib import Path

from gossipfl.errors import DataError


def make_new_folder(folder: Path, *, hint: str = ": a study wants a new folder") -> None:
    """Makes the folder, so that a wrong one is found before any work.

    Args:
        hint: what is added where it holds something.

    Raises:
        DataError: it holds something, or cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise DataError(f"--output {folder}: {error.strerror}; a study wants a new folder") from error
    if not is_empty:
        raise DataError(f"--output {folder} is not empty{hint}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"--output {folder}: may not be written to; a study wants a new folder")
