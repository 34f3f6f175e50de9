"""The noise study as markdown: accuracy under each noise, and the claims."""

from collections import Counter
from collections.abc import Sequence

from gossipfl.report import compare_cells as cells
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.tables import markdown_table
from gossipfl.studies.mnist_noise_arms import FEDAVG, Arm, Scale, Whose
from gossipfl.studies.mnist_noise_claims import (
    CHANCE,
    KINDS,
    MARGIN,
    OWNERS,
    Claim,
    Figures,
    Finding,
    Verdict,
    claims_of,
)

MUTE: tuple[Verdict, ...] = ("at chance", "no result")
"""Pairs that say nothing: counted, not listed."""
NOTES = (
    "nominal: noise for that ε in every round by itself; honest: for the whole run. In brackets the ε of the run. "
    "fedavg10 draws half of the clients: half the local steps; a client's noise is for all rounds, it is charged for "
    "those in which it is drawn; central ε counts no amplification by the draw. Seeded noise: nothing here is private."
)


def reading(found: Comparison, scale: Scale) -> str:
    """Tables and verdicts."""
    figures = Figures(found)
    parts = [_table(figures, scale, whose) for whose in ("local", "central")]
    claims = [_claim(claim) for claim in claims_of(found, scale)]
    said = (
        "Intervals are of 95%, paired by seed, and not corrected for their number: of twenty empty pairs one is told "
    )
    guess = f"apart. At chance: both accuracies within {MARGIN:g} of guessing ({CHANCE:g}), which says nothing."
    return "\n\n".join([*parts, NOTES, *claims, said + guess]) + "\n"


def verdict(findings: Sequence[Finding]) -> str:
    """All pairs in one sentence."""
    count = Counter(finding.verdict for finding in findings)
    mute = ", ".join(f"{count[word]} {word}" for word in MUTE if count[word])
    telling = len(findings) - sum(count[word] for word in MUTE)
    rest = f" ({mute})" if mute else ""
    if not telling:
        return f"cannot be told{rest}"
    if count["holds"] == telling:
        return f"holds in all {telling} pairs that tell anything{rest}"
    if count["the opposite"] == telling:
        return f"the opposite holds in all {telling} pairs that tell anything{rest}"
    parts = ", ".join(f"{count[word]} {word}" for word in ("holds", "the opposite", "not shown") if count[word])
    return f"not in general: of {telling} pairs that tell anything {parts}{rest}"


def _table(figures: Figures, scale: Scale, whose: Whose) -> str:
    networks = [network for network in scale.networks if whose == "local" or network in FEDAVG]
    rows = [["none", *(_cell(figures.summary(Arm(network))) for network in networks)]]
    for kind in KINDS:
        for epsilon in scale.epsilons:
            arms = (Arm(network, whose, kind, epsilon) for network in networks)
            rows.append([f"{kind} {epsilon:g}", *(_cell(figures.summary(arm)) for arm in arms)])
    text = f"{OWNERS[whose].capitalize()}: accuracy at the end, mean over the nodes, mean ± deviation over seeds"
    return f"{text}\n\n{markdown_table(['noise', *networks], rows)}"


def _cell(arm: ArmSummary) -> str:
    """Accuracy, ε, and how many seeds have no result and why."""
    causes = Counter(fault.status for fault in arm.faults.values())
    lost = [f"{number} of {len(arm.trials)} {status}" for status, number in causes.items()]
    if not arm.done:
        return ", ".join(lost)
    spent = arm.figures["epsilon"].mean
    notes = [*([] if spent is None else [f"{spent:.2f}"]), *lost]
    return cells.cell(arm, "mean_node") + (f" ({'; '.join(notes)})" if notes else "")


def _claim(claim: Claim) -> str:
    rows = [
        (
            finding.pair,
            cells.difference(finding.difference),
            cells.difference(finding.accuracy),
            str(finding.difference.pairs),
            finding.verdict,
        )
        for finding in claim.findings
        if finding.verdict not in MUTE
    ]
    head = ("pair", claim.figure, "accuracy at the end", "seeds", "verdict")
    said = f"**{claim.text}**: {verdict(claim.findings)}."
    return f"{said}\n\n{markdown_table(head, rows)}" if rows else said
