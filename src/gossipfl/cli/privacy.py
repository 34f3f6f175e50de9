"""`gossipfl privacy`: `plan`, accounting without data; `spent`, what a node's data has paid; `verify`, for auditors."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.options import JsonOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.cli.spent_text import most_spent, spent_text
from gossipfl.errors import ConfigError, LedgerError
from gossipfl.privacy.accounting import Bound, Charge, bound, noise_multiplier_for
from gossipfl.privacy.ledger_export import export_ledger, is_export, verify_export
from gossipfl.privacy.ledger_link import read_ledger_link
from gossipfl.privacy.pld import INSTALL, has_pld
from gossipfl.privacy.publications import verify as verify_log
from gossipfl.privacy.signing import Signer
from gossipfl.privacy.spent import history
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
    accountant: Annotated[str, typer.Option(help="That σ is calculated with: prv, rdp or pld.")] = "prv",
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
    bounds = {name: bound(charges, delta, name) for name in ("rdp", "prv", *(["pld"] if has_pld() else []))}
    result = {
        "epsilon": {name: found.epsilon for name, found in bounds.items()},
        "noise_multiplier": noise_multiplier,
        "delta": delta,
        "sample_rate": sample_rate,
        "steps": steps,
        "method": bounds["prv"].method,
    }
    emit(result, json=json, text=_plan_text(noise_multiplier, charges[0], delta, bounds))


@app.command(
    epilog=example(
        "gossipfl privacy spent --state-dir state/alice",
        "gossipfl privacy spent --state-dir state/alice --export alice-ledger.json --key certs/alice.key",
    )
)
def spent(
    *,
    state_dir: Annotated[Path | None, typer.Option(help="A node's state directory.", metavar="DIR")] = None,
    ledger: Annotated[Path | None, typer.Option(help="The ledger itself, instead.", metavar="FILE")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Also write the whole history, signed, for an auditor.", metavar="FILE")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="The node's private key, PEM, that --export signs with.", metavar="FILE")
    ] = None,
    json: JsonOption = False,
) -> None:
    """What the node's data has paid in ε, by all runs on it together, and every charge; changes nothing.

    A ledger that holds several accounts is listed whole; the result names the one that has spent most.
    """
    if (state_dir is None) == (ledger is None):
        raise ConfigError("privacy spent needs --state-dir or --ledger, one of the two")
    if (export is None) != (key is None):
        raise ConfigError("privacy spent --export needs --key, the node's private key, and --key is for --export")
    path = ledger if ledger is not None else read_ledger_link(state_dir or Path())
    accounts, charges = read_spent(path), history(path)
    if not accounts:
        raise LedgerError(f"the ledger {path} holds no account yet")
    if export is not None and key is not None:
        export_ledger(path, export, Signer.from_pem(_read(key, "--key")))
    result = most_spent(accounts, charges) | {"ledger": str(path), "export": export}
    emit(result, json=json, text=spent_text(accounts, charges, title=str(path)))


@app.command(
    epilog=example(
        "gossipfl privacy verify alice-ledger.json --certificate certs/alice.pem",
        "gossipfl privacy verify state/alice/publications.jsonl --certificate certs/alice.pem --json",
    )
)
def verify(
    file: Annotated[Path, typer.Argument(help="What `spent --export` wrote, or a node's publications.jsonl.")],
    *,
    certificate: Annotated[Path, typer.Option(help="The node's certificate, PEM.", metavar="FILE")],
    json: JsonOption = False,
) -> None:
    """Whether a ledger or a log of publications is the node's own and whole, and what it amounts to.

    Signature, chain and ε are worked out anew; anything that does not fit is an error.
    """
    pem = _read(certificate, "--certificate")
    if is_export(file):
        found = verify_export(file, pem)
        stated = {"head": found.head, "time": found.time, "verified": True}
        result = most_spent(found.accounts, found.history) | stated
        emit(result, json=json, text=spent_text(found.accounts, found.history, title=f"{file}: verified"))
        return
    log = verify_log(file, pem)
    back = f", rollbacks: {len(log.rollbacks)}" if log.rollbacks else ""
    said = (
        f"{file}: verified, {log.publications} publications to {len(log.receivers)} nodes, ε ≤ {log.epsilon:.4g}{back}"
    )
    emit(asdict(log) | {"verified": True}, json=json, text=said)


def _noise(target: float, sample_rate: float, steps: int, delta: float, accountant: str) -> float:
    if not target > 0:
        raise ConfigError(f"--target-epsilon: {target:g} must be above 0")
    return noise_multiplier_for(target, delta=delta, sample_rate=sample_rate, steps=steps, accountant=accountant)


def _plan_text(sigma: float, charge: Charge, delta: float, bounds: dict[str, Bound]) -> str:
    pld = _by("pld", bounds["pld"]) if "pld" in bounds else f"pld is not installed: {INSTALL}"
    return (
        f"{charge.steps} steps at sample rate {charge.sample_rate:g} with noise multiplier {sigma:.4g}:\n"
        f"ε = {_by('prv', bounds['prv'])}, {bounds['rdp'].epsilon:.4g} by rdp, at δ = {delta:g} ({pld})"
    )


def _by(name: str, found: Bound) -> str:
    note = {"exact": " (exact)", "rdp": " (not to be had; this is rdp)"}.get(found.method, "")
    return f"{found.epsilon:.4g} by {name}{note}"


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be read: {error.strerror}") from error
