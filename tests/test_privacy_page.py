"""docs/privacy.md: every sentence of its lists names tests, and those are there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "privacy.md"
NAMED = re.compile(r"`(test_\w+)`")


def claims() -> list[str]:
    """Every item of the page's lists, its lines as one."""
    items: list[str] = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("- "):
            items.append(line)
        elif line.startswith("  "):
            items[-1] += line
    return items


def known_tests() -> set[str]:
    """Names of all test functions."""
    trees = (ast.walk(ast.parse(path.read_text())) for path in TESTS.rglob("test_*.py"))
    functions = (node for tree in trees for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in functions if node.name.startswith("test_")}


def test_every_sentence_has_a_test_beside_it() -> None:
    assert len(claims()) > 20
    assert [claim for claim in claims() if not NAMED.search(claim)] == []


def test_every_test_that_is_named_is_there() -> None:
    named = {name for claim in claims() for name in NAMED.findall(claim)}
    assert sorted(named - known_tests()) == []
