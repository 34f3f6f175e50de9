"""`gossipfl audit privacy`: what ε is at least, beside the ε that is claimed."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gossipfl.cli.options import JsonOption, OutputOption, SetOption, example
from gossipfl.cli.output import console, emit, note, table

if TYPE_CHECKING:
    from gossipfl.studies.audit_privacy import AuditResult

EXAMPLE = example(
    "gossipfl audit privacy experiments/quick-audit.yaml",
    "gossipfl audit privacy experiment.yaml --set audit.canaries=1000 --attack loss --json",
)
Experiment = Annotated[Path, typer.Argument(help="experiment.yaml with a section audit.", metavar="FILE")]


class MembershipAttack(StrEnum):
    """How members are told from others."""

    LOSS = "loss"
    LIKELIHOOD_RATIO = "likelihood-ratio"


AttackOption = Annotated[
    list[MembershipAttack] | None,
    typer.Option(help="Of membership inference; repeatable; default: both. likelihood-ratio trains shadow runs."),
]


def privacy(
    experiment: Experiment,
    *,
    attack: AttackOption = None,
    output: OutputOption = None,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Lower bounds of ε from one simulated run with canaries, by how far the guesser is from the data.

    Each canary is in with probability ½. Who sees the noised gradients, who is sent the states, and who is farther away
    guess which are in; an ε too small to let them guess so well is refuted. Exit code 1 when the claim is. Beside it
    membership inference on the owner's records: by loss, and by likelihood ratio from shadow runs.
    """
    from gossipfl.config.loading import load_experiment  # noqa: PLC0415  # torch is slow to import
    from gossipfl.runs.default_folder import default_folder  # noqa: PLC0415
    from gossipfl.studies.audit_files import BOUNDS, MEMBERS, bound_rows, member_rows, write_audit  # noqa: PLC0415
    from gossipfl.studies.audit_privacy import ATTACKS, audit_privacy  # noqa: PLC0415
    from gossipfl.studies.new_folder import make_new_folder  # noqa: PLC0415

    loaded = load_experiment(experiment, sets or ())
    folder = output or default_folder("audit-privacy")
    make_new_folder(folder)
    wished = tuple(name for name in ATTACKS if attack is None or name in attack)
    found = audit_privacy(loaded, attacks=wished, show=note)
    files = write_audit(found, folder)
    emit(
        {**found.as_json(), "output": folder, "files": files},
        json=json,
        text=table(BOUNDS, bound_rows(found), title=_verdict(found)),
    )
    if found.memberships and not json:
        console(stderr=False).print(table(MEMBERS, member_rows(found)))
    if not found.holds:
        raise typer.Exit(1)


def _verdict(found: "AuditResult") -> str:
    if not found.holds:
        return "The claim is refuted."
    return "Nothing was claimed." if found.epsilon_claimed is None else "The claim was not refuted."
