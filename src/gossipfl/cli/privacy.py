"""`gossipfl privacy plan`: accounting without data. `gossipfl privacy spent`: what a node's data has paid already."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.options import JsonOption, command_app, example
from gossipfl.cli.output import emit, table
from gossipfl.errors import ConfigError, LedgerError
from gossipfl.privacy.accounting import Bound, Charge, bound, noise_multiplier_for
from gossipfl.privacy.ledger_link import read_ledger_link
from gossipfl.privacy.spent import AccountSummary
from gossipfl.privacy.spent import spent as read_spent

app = command_app(help="Plan privacy, and read what is spent.")


@app.command(
    epilog=example(
        "gossipfl privacy plan --sample-rate 0.1 --steps 100 --delta 1e-5 --target-epsilon 8",
        "gossipfl privacy plan --sample-rate 0.1 --steps 100 --delta 1e-5 --noise-multiplier 1 --json",
    )
)
def plan(  # noqa: PLR0913  # one an option
    *,
    sample_rate: Annotated[float, typer.Option(help="Probability that a unit is in a batch: batch size / units.")],
    steps: Annotated[int, typer.Option(help="Optimizer steps; at level update phases.", min=1)],
    delta: Annotated[float, typer.Option(help="δ; at most 1/(2 units).")],
    noise_multiplier: Annotated[float | None, typer.Option(help="σ: gives ε.")] = None,
    target_epsilon: Annotated[float | None, typer.Option(help="ε: gives the least σ.")] = None,
    accountant: Annotated[str, typer.Option(help="That σ is calculated with: prv or rdp.")] = "prv",
    json: JsonOption = False,
) -> None:
    """ε of a noise, or the noise for an ε: DP-SGD with Poisson sampling, add/remove one unit.

    For privacy.level update: --sample-rate 1, and as --steps the phases; ε is then of all the node's data.
    """
    if (noise_multiplier is None) == (target_epsilon is None):
        raise ConfigError("privacy plan needs --noise-multiplier or --target-epsilon, one of the two")
    if noise_multiplier is None:
        noise_multiplier = _noise(target_epsilon or 0.0, sample_rate, steps, delta, accountant)
    charges = [Charge(sample_rate, noise_multiplier, steps)]
    bounds = {name: bound(charges, delta, name) for name in ("rdp", "prv")}
    result = {
        "epsilon": {name: found.epsilon for name, found in bounds.items()},
        "noise_multiplier": noise_multiplier,
        "delta": delta,
        "sample_rate": sample_rate,
        "steps": steps,
        "method": bounds["prv"].method,
    }
    emit(result, json=json, text=_plan_text(noise_multiplier, charges[0], delta, bounds))


@app.command(epilog=example("gossipfl privacy spent --state-dir state/alice"))
def spent(
    *,
    state_dir: Annotated[Path | None, typer.Option(help="A node's state directory.", metavar="DIR")] = None,
    ledger: Annotated[Path | None, typer.Option(help="The ledger itself, instead.", metavar="FILE")] = None,
    json: JsonOption = False,
) -> None:
    """What the node's data has paid in ε, by all runs on it together; changes nothing.

    A ledger that holds several accounts is listed whole; the result names the one that has spent most.
    """
    if (state_dir is None) == (ledger is None):
        raise ConfigError("privacy spent needs --state-dir or --ledger, one of the two")
    path = ledger if state_dir is None else read_ledger_link(state_dir)
    accounts = read_spent(path or Path())
    if not accounts:
        raise LedgerError(f"the ledger {path} holds no account yet")
    most = max(accounts, key=lambda account: account.epsilon)
    result = asdict(most) | {"ledger": str(path), "accounts": [asdict(account) for account in accounts]}
    emit(result, json=json, text=table(COLUMNS, [_row(account) for account in accounts], title=str(path)))


COLUMNS = ("account", "level", "ε", "δ", "steps", "charges", "records", "public", "last used")


def _noise(target: float, sample_rate: float, steps: int, delta: float, accountant: str) -> float:
    if not target > 0:
        raise ConfigError(f"--target-epsilon: {target:g} must be above 0")
    return noise_multiplier_for(target, delta=delta, sample_rate=sample_rate, steps=steps, accountant=accountant)


def _plan_text(sigma: float, charge: Charge, delta: float, bounds: dict[str, Bound]) -> str:
    note = {"prv": "", "exact": " (exact)", "rdp": " (not to be had; this is rdp)"}[bounds["prv"].method]
    return (
        f"{charge.steps} steps at sample rate {charge.sample_rate:g} with noise multiplier {sigma:.4g}:\n"
        f"ε = {bounds['prv'].epsilon:.4g} by prv{note}, {bounds['rdp'].epsilon:.4g} by rdp, at δ = {delta:g}"
    )


def _row(account: AccountSummary) -> tuple[object, ...]:
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
