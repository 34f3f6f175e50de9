"""Logs of machines: one object a line, and one name for a message at both of its ends."""

import json
import logging
from pathlib import Path
from typing import Any

from gossipfl.cli.logs import JsonLines


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    text = JsonLines("ada").format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def record(message: str, *arguments: object, error: Exception | None = None, **extra: object) -> logging.LogRecord:
    failure = (type(error), error, None) if error is not None else None
    return logging.getLogger("gossipfl.net").makeRecord(
        "gossipfl.net", logging.WARNING, "x.py", 1, message, arguments, failure, extra=extra
    )


def test_a_record_is_one_object_with_the_fields_it_was_said_with() -> None:
    found = line_of(record("rejected\n%s", "x", peer="bob", times=2, _of_a_library=1))
    assert found.pop("at").endswith("+00:00")
    assert found == {
        "level": "warning", "logger": "gossipfl.net", "message": "rejected\nx", "node": "ada", "peer": "bob", "times": 2
    }  # fmt: skip


def test_fields_cannot_pass_for_the_lines_own_and_what_json_lacks_is_text() -> None:
    found = line_of(record("x", node="mallory", level="debug", place=Path("a/b"), error=ValueError("no")))
    assert (found["node"], found["level"], found["place"]) == ("ada", "warning", "a/b")
    assert "ValueError: no" in found["error"]
