"""Where a run goes that was given no folder."""

from datetime import UTC, datetime
from pathlib import Path


def default_folder(name: str) -> Path:
    """`runs/NAME-DAY-TIME`."""
    return Path("runs") / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
