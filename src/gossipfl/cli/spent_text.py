"""A ledger's accounts and charges, as `gossipfl privacy spent` and `verify` show them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from gossipfl.cli.output import table
from gossipfl.errors import LedgerError
from gossipfl.privacy.pairs.exposed import ADVERSARIES
from gossipfl.privacy.spent import AccountSummary, History

if TYPE_CHECKING:
    from rich.console import RenderableType

ACCOUNTS = ("account", "level", "ε", "δ", "steps", "charges", "records", "public", "last used")
CHARGES = ("charges", "account", "run", "level", "sample rate", "σ", "steps", "since", "until")


def most_spent(accounts: Sequence[AccountSummary], charges: Sequence[History]) -> dict[str, object]:
    """The account that has spent most, with all accounts and charges beside it.

    Raises:
        LedgerError: there is none.
    """
    if not accounts:
        raise LedgerError("the ledger holds no account yet")
    most = max(accounts, key=lambda account: account.epsilon)
    every = {"accounts": [asdict(account) for account in accounts], "history": [asdict(charge) for charge in charges]}
    return asdict(most) | every


def spent_text(accounts: Sequence[AccountSummary], charges: Sequence[History], *, title: str) -> "RenderableType":
    """For people: accounts, what adversaries see of them, charges."""
    from rich.console import Group  # noqa: PLC0415  # --json and --help do without

    mechanisms = [f"account {each.account}: {each.mechanism}" for each in accounts if each.mechanism]
    rows = [_account_row(each) for each in accounts]
    parts: list[RenderableType] = [table(ACCOUNTS, rows, title=title), *mechanisms, *_by_adversary(accounts)]
    return Group(*parts, table(CHARGES, [_charge_row(charge) for charge in charges])) if charges else Group(*parts)


def _account_row(account: AccountSummary) -> tuple[object, ...]:
    return (
        account.account,
        account.level,
        account.epsilon,
        account.delta,
        account.steps,
        account.charges,
        account.records,
        account.public,
        account.last_used,
    )


def _charge_row(charge: History) -> tuple[object, ...]:
    return (
        f"{charge.first} to {charge.last}" if charge.last > charge.first else str(charge.first),
        ", ".join(map(str, (charge.account, *charge.beside))),
        charge.run,
        charge.level,
        charge.sample_rate,
        charge.noise_multiplier,
        charge.steps,
        charge.since,
        charge.until,
    )


def _by_adversary(accounts: Sequence[AccountSummary]) -> list[str]:
    return [
        f"account {account.account}: ε = {epsilon:.4g} for {name}, {ADVERSARIES[name]}"
        for account in accounts
        for name, epsilon in (account.exposed or {}).items()
    ]
