"""Where a node's log goes, and as what: lines for people, or a JSON object a line for machines.

    {"at": "2026-11-22T09:00:00.123+00:00", "level": "info", "logger": "gossipfl.net.passage", "message": "…", "node":
     "north", "peer": "south", "exchange": "south/3/17", …}

`exchange` names one message, alike in the logs of its two ends: sender, life and number of the message.
"""

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; anything else was said by `extra`."""


class LogFormat(StrEnum):
    """How lines look."""

    text = "text"
    json = "json"


class LogLevel(StrEnum):
    """What is said at least."""

    debug = "debug"
    info = "info"
    warning = "warning"


LogFormatOption = Annotated[
    LogFormat, typer.Option("--log-format", help="Lines for people, or JSON, one object a line.")
]
LogLevelOption = Annotated[LogLevel, typer.Option("--log-level", help="debug: every message that is sent or arrives.")]


class JsonLines(logging.Formatter):
    """One JSON object a record, with the fields that it was said with.

    Args:
        node: whose log it is; None: no such field.
    """

    def __init__(self, node: str | None) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """The line; what JSON has no word for is written as text."""
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._node is not None:
            said["node"] = self._node
        # a library that marks every record for itself (Ray does) begins its names so
        fields = {key: value for key, value in vars(record).items() if key not in _USUAL and not key.startswith("_")}
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps({**fields, **said}, default=str, ensure_ascii=False)


def configure_logs(shape: LogFormat, level: LogLevel, *, node: str | None) -> None:
    """The program's log on stderr; libraries say less than we do.

    Args:
        node: whose log it is, where that is known by now.
    """
    logging.basicConfig(level=max(logging.INFO, _number(level)), format=_TEXT)
    logging.getLogger("gossipfl").setLevel(_number(level))
    if shape is LogFormat.json:
        # of libraries, which would print lines of their own
        logging.captureWarnings(capture=True)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines(node))


def _number(level: LogLevel) -> int:
    return logging.getLevelNamesMapping()[level.value.upper()]
