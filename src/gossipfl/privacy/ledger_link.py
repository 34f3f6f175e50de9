"""Where a state directory's ledger lies: the ledger itself is beside the data, so the directory only points to it.

    state/NAME/ledger.json   {"ledger": "/data/records.csv.ledger.sqlite"}

Losing this file loses nothing but the convenience of `gossipfl privacy spent --state-dir`.
"""

import json
import os
from pathlib import Path

from gossipfl.errors import StateError

_NAME = "ledger.json"


def write_ledger_link(state_dir: Path, ledger: Path) -> None:
    """Makes the state directory point to the ledger.

    Raises:
        OSError: the directory cannot be written.
    """
    partial = state_dir / f"{_NAME}.partial"
    partial.write_text(json.dumps({"ledger": str(ledger.resolve())}) + "\n", encoding="utf-8")
    os.replace(partial, state_dir / _NAME)  # noqa: PTH105  # replaces on every platform


def read_ledger_link(state_dir: Path) -> Path:
    """The ledger that a state directory points to.

    Raises:
        StateError: there is no such directory, or its node never opened a ledger.
    """
    if not state_dir.is_dir():
        raise StateError(f"--state-dir {state_dir} is not a folder")
    path = state_dir / _NAME
    try:
        ledger = json.loads(path.read_text(encoding="utf-8"))["ledger"]
    except FileNotFoundError:
        raise StateError(f"{state_dir} names no ledger: its node has not trained with privacy; try --ledger") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path} does not name a ledger ({type(error).__name__}); try --ledger") from error
    if not isinstance(ledger, str):
        raise StateError(f"{path} does not name a ledger: {ledger!r} is no path; try --ledger")
    return Path(ledger)
