"""Nothing leaves but what the account has paid for, and nothing but `Publisher` can say so."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

import gossipfl
from gossipfl.core.messages import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.ledger import open_account
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.publishing import Publisher

SOURCE = Path(gossipfl.__file__).parent


def makers_of_publishable(tree: ast.AST) -> list[int]:
    """Lines that call `Publishable`, by whatever way it is named."""
    names = {"Publishable"} | {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == "Publishable" and alias.asname
    }
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node.func) in names]


def _called(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _called(value)
    return ""


def test_only_the_publisher_makes_something_publishable() -> None:
    places = {
        path.relative_to(SOURCE).as_posix(): lines
        for path in SOURCE.rglob("*.py")
        if (lines := makers_of_publishable(ast.parse(path.read_text())))
    }
    assert set(places) == {"privacy/publishing.py"}
    assert len(places["privacy/publishing.py"]) == 1


@pytest.mark.parametrize(
    "code",
    [
        "Publishable(1, 2)",
        "events.Publishable(1, 2)",
        "Publishable[float](1, 2)",
        "from e import Publishable as P; P(1)",
    ],
)
def test_the_search_finds_every_way_to_make_one(code: str) -> None:
    assert makers_of_publishable(ast.parse(code))


def test_a_paid_state_is_cleared_and_an_unpaid_one_is_not(tmp_path: Path) -> None:
    request = AccountRequest([b"x"], 1e-5, "rdp", None, False, None, "run", "a")
    with open_account(tmp_path / "l", request) as account:
        publisher = Publisher(account)
        assert publisher.clear(1.0, Receipt()).receipt == Receipt(), "before the first step nothing is owed"
        receipt = account.charge(Charge(0.1, 1.0))
        cleared = publisher.clear(2.0, receipt)
        assert (cleared.state, cleared.receipt) == (2.0, receipt)
        for unpaid in (Receipt(steps=1), replace(receipt, charges=2), replace(receipt, head="00" * 32)):
            with pytest.raises(PrivacyError):
                publisher.clear(3.0, unpaid)


def test_without_privacy_every_state_is_cleared_with_infinite_epsilon() -> None:
    account = FreeAccount()
    receipt = account.charge(Charge(1.0, 0.0))
    assert Publisher(account).clear(1.0, receipt).receipt.epsilon == float("inf")
