"""The page of errors: each message on it is one that the code raises, word for word."""

import ast
import re
from collections.abc import Iterator

from tests.docs.pages import DOCS, ROOT

from gossipfl import errors

PAGE = DOCS / "troubleshooting.md"
HEADING = re.compile(r"^### `(.*)`$", re.MULTILINE)
FROM_PYDANTIC = {"experiment.yaml: …: unknown key, did you mean …?"}
"""Made in config/explain.py out of what pydantic says; tests/config holds it."""


def user_errors() -> set[str]:
    return {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.UserError) and kind is not errors.UserError
    }


def raised() -> Iterator[tuple[str, str]]:
    """(error, its message with `…` for each value) of every place that makes a user's error."""
    kinds = user_errors()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds and node.args:
                yield node.func.id, template(node.args[0])


def template(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(template(part) if isinstance(part, ast.Constant) else "…" for part in parts)
        case _:
            return "…"


def test_every_message_on_the_page_is_one_that_is_raised() -> None:
    messages = {message for _, message in raised()}
    listed = HEADING.findall(PAGE.read_text())
    assert len(listed) > 30
    assert [message for message in listed if message not in messages | FROM_PYDANTIC] == []


def test_every_kind_of_error_has_a_message_on_the_page() -> None:
    listed = set(HEADING.findall(PAGE.read_text()))
    assert {kind for kind, message in raised() if message in listed} == user_errors() - {"TrainingError"}


def test_every_message_has_something_to_do_behind_it() -> None:
    sections = re.split(r"^#+ .*$", PAGE.read_text(), flags=re.MULTILINE)
    headings = re.findall(r"^#+ .*$", PAGE.read_text(), flags=re.MULTILINE)
    empty = [
        head for head, text in zip(headings, sections[1:], strict=True) if head.startswith("###") and not text.strip()
    ]
    assert empty == []
