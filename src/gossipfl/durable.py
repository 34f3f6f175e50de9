"""What a crash of the machine must not undo."""

import os
from pathlib import Path


def fsync_folder(folder: Path) -> None:
    """Makes new names in the folder durable: of files made there, or renamed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
