"""The internals of Flower that are touched are where they were in the version that is pinned."""

import ast
from importlib.metadata import version
from pathlib import Path

import flwr
import pytest
from flwr.app import Message, RecordDict

import gossipfl.baseline
from gossipfl.baseline.internals import claim_identity


def test_flower_is_the_version_whose_internals_are_known() -> None:
    assert version("flwr") == "1.41.0", "look whether baseline/internals.py still fits the new version of Flower"


def test_a_claimed_identity_lets_a_process_make_messages() -> None:
    claim_identity(7)
    message = Message(RecordDict(), 9, "train")
    assert (message.metadata.src_node_id, message.metadata.dst_node_id) == (7, 9), (
        f"Flower {flwr.__version__} takes a message's sender from elsewhere: mend baseline/internals.py"
    )


PUBLIC = ("flwr.app", "flwr.clientapp", "flwr.serverapp", "flwr.serverapp.strategy", "flwr.simulation")
TOUCHED = {
    ("internals.py", "flwr.supercore.task_identity"),
    # the type of an argument of the abstract Grid, and the logger
    ("inprocess.py", "flwr.supercore.run"),
    ("muster.py", "flwr.supercore.run"),
    ("environment.py", "flwr.supercore"),
}


@pytest.mark.parametrize("path", sorted(Path(gossipfl.baseline.__path__[0]).glob("*.py")), ids=lambda path: path.name)
def test_nothing_else_of_flowers_internals_is_imported(path: Path) -> None:
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    modules = [node.module or "" for node in imports if (node.module or "").startswith("flwr")]
    assert all(module in PUBLIC or (path.name, module) in TOUCHED for module in modules), modules
