"""Where the ledger of some data lies when nobody says otherwise.

    records.csv            ->  records.csv.ledger.sqlite      beside it: goes where the data goes
    hub id, split dataset  ->  $XDG_DATA_HOME/gossipfl/ledgers/NAME-HASH.ledger.sqlite (default ~/.local/share)

Never inside a state directory: removing the state must not lower ε.
"""

import hashlib
import os
import re
from pathlib import Path

_ENDING = ".ledger.sqlite"


def ledger_path(
    data_source: str | Path | None, data_folder: Path, configured: str | None, *, split: bool = False
) -> Path:
    """The ledger's file; nothing is made.

    Args:
        data_source: file, folder, hub id or `package:` source of the records, as written; None: not named.
        data_folder: what relative paths start from.
        configured: `ledger` of the node, or `privacy.ledger`; wins over everything.
        split: the source is one dataset that several nodes share out among themselves.
    """
    if configured is not None:
        return data_folder / Path(configured).expanduser()
    source = "" if data_source is None else str(data_source)
    place = data_folder / Path(source).expanduser()
    if source and not split and place.exists():
        place = place.resolve()
        return place.with_name(place.name + _ENDING)
    # a path may be written in several ways, the data is the same
    known_as = str(place.resolve()) if source and place.exists() else source
    return _data_home() / "gossipfl" / "ledgers" / (_name(known_as) + _ENDING)


def _data_home() -> Path:
    configured = os.environ.get("XDG_DATA_HOME", "")
    # the XDG specification: a relative path is to be ignored
    return Path(configured) if Path(configured).is_absolute() else Path.home() / ".local" / "share"


def _name(source: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9]+", "-", Path(source).name or "data").strip("-")[:40] or "data"
    return f"{readable}-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
