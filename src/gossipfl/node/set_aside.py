"""Files that nodes of this machine have set aside: read from their own state directories, never asked for.

It needs neither model nor data libraries: `gossipfl status` should answer at once.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gossipfl.config.loading import load_peers
from gossipfl.config.peers import NodeConfig
from gossipfl.node.places import DATA_JOURNAL, state_place

Aside = Mapping[str, Mapping[str, str]]
"""By node, the reason of each file."""


def set_aside_here(peers: Path) -> Aside:
    """Of those nodes whose state lies where peers.yaml says, and whoever asks may read it; files that are still there.

    Raises:
        UserError: peers.yaml cannot be loaded.
    """
    loaded = load_peers(peers)
    found = {node.name: _named(loaded.folder, node) for node in loaded.peers.nodes}
    return {name: aside for name, aside in found.items() if aside}


def _named(folder: Path, node: NodeConfig) -> Mapping[str, str]:
    aside = _of(state_place(folder, node.name) / DATA_JOURNAL)
    return aside if node.data is None else _still_there(aside, folder / Path(node.data).expanduser())


def _still_there(aside: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    """All of them while the folder is away, as a disk of the network may be for a while, or may not be looked into."""
    try:
        there = {path.name for path in folder.iterdir()}
    except OSError:
        return aside
    return {name: reason for name, reason in aside.items() if name in there}


def _of(journal: Path) -> dict[str, str]:
    # no watched folder, another user's, or damaged, which its node says at its next start
    with suppress(OSError, ValueError, KeyError, TypeError):
        return {
            str(each["file"]["name"]): str(each["reason"]) for each in json.loads(journal.read_bytes())["set_aside"]
        }
    return {}
