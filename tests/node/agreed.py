"""What tests of common checkpoints do with real nodes, and how they look at what came of it."""

from tests.node.study import Study

from gossipfl.core.common import Gathered
from gossipfl.node.proposing import Asked
from gossipfl.node.rollback import RollbackRequest
from gossipfl.node.rollback import roll_back as take_back
from gossipfl.node.signed_checkpoints import found_in
from gossipfl.studies.demo_files import free_ports

PHASES, LOCAL_STEPS, REST = 3000, 4, 8
"""More phases than are ever done, and how many are left to do behind a rollback."""
AHEAD = 300
"""Phases that nobody runs through while he is asked; a phase takes some 20 ms."""
WAIT_S = 240.0


def checkpoint(study: Study, name: str, asked: Asked) -> Gathered | None:
    """What the node has of it, verified."""
    found = found_in(study.peers, name=name, state_dir=None, environ={})
    return next((each for each in found if each.plan == asked.plan), None)


def roll_back(study: Study, name: str, asked: Asked) -> str:
    """What the command does; the branch it tells."""
    return take_back(RollbackRequest(study.peers, asked.plan.key, name)).branch


def move(study: Study) -> None:
    """To ports that are free now: somebody else may have taken the old ones meanwhile."""
    ports = iter(free_ports(len(study.names)))
    study.edit(
        "peers.yaml",
        lambda content: [
            node.update(address=f"127.0.0.1:{next(ports)}") for node in content["nodes"] if "address" in node
        ],
    )
