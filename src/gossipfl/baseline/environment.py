"""Flower as this package wants it: installed, silent, and talking to nobody but loopback.

Has to be called before flwr is first imported: it reads the environment then.
"""

import importlib.util
import logging
import os
from pathlib import Path

from gossipfl.errors import ConfigError

SETTINGS = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
"""No telemetry, no look for a newer version, nothing installed on the way."""


def prepare(home: Path) -> None:
    """Sets the environment of this process and its children.

    Args:
        home: Flower's own folder, instead of one in the user's home.

    Raises:
        ConfigError: the extra is not installed.
    """
    if importlib.util.find_spec("flwr") is None:
        raise ConfigError("gossipfl fedavg needs the extra `flower`: pip install 'gossipfl[flower]'")
    os.environ.update(SETTINGS, FLWR_HOME=str(home))
    _through_our_log()


def home() -> Path:
    """Flower's own folder, as `prepare` has set it."""
    return Path(os.environ["FLWR_HOME"])


def _through_our_log() -> None:
    """Flower writes to stderr by a handler of its own: a line for each message of each client."""
    from flwr.supercore import log as _  # noqa: F401, PLC0415  # puts the handler there

    logger = logging.getLogger("flwr")
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.WARNING)
