"""Which layers a node adapts, said at its start and written into its state directory."""

import logging

from gossipfl.core.json_text import json_text
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.adapters.summary import summarize
from gossipfl.node.state_directory import StateDirectory

logger = logging.getLogger(__name__)


def note_adapter(directory: StateDirectory, adapted: Adapted) -> None:
    """One line of the log, and `adapter.json`."""
    summary = summarize(adapted.experiment.adapter, adapted.spec)
    (directory.path / "adapter.json").write_text(json_text(summary) + "\n")
    logger.info("%s", summary)
