"""What ε is at least: the study's adapters at each of its ε, audited by one run with canaries each.

    arms of the ring ── audit_privacy ──> audits/ADAPTER-epsE.json, an audit each ──> a table beside that of accuracy

The steps of a node are the same in every network, and so is what somebody learns who sees them all (0 hops); what a
neighbor and the farthest node learn is the ring's.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gossipfl.config.loading import LoadedExperiment, change_experiment
from gossipfl.core.json_text import json_text
from gossipfl.learning.cache import write_atomically
from gossipfl.report.tables import markdown_table
from gossipfl.studies.audit_privacy import audit_privacy
from gossipfl.studies.medical_privacy_arms import ADAPTERS, EPSILONS, RATES, titled, trained

FOLDER = "audits"
AUDIT: Mapping[str, object] = {"audit.canaries": 1000, "audit.members": 0, "audit.shadow_pairs": 0}
"""1,000 canaries can show an ε of about 4.7."""
NOTE = (
    "ε at least: 1,000 gradient canaries at one node of the ring, each bound with 95% confidence by itself, δ that of "
    "the claim. A bound below its ε refutes nothing and proves nothing; canaries of this number can show about 4.7."
)
Audits = Mapping[tuple[str, float], Mapping[str, Any]]
"""Results of `gossipfl audit privacy`, by adapter and ε."""


def audit_arms(loaded: LoadedExperiment, output: Path, adapters: Sequence[str] = ADAPTERS) -> Audits:
    """Audits what has not been audited in this folder.

    Raises:
        UserError: see `audit_privacy`.
    """
    wished = [(adapter, eps) for adapter in adapters for eps in EPSILONS]
    found = {}
    for number, (adapter, eps) in enumerate(wished):
        sys.stderr.write(f"audits: {number} of {len(wished)}\n")
        found[adapter, eps] = _audited(loaded, output / FOLDER / f"{adapter}-eps{eps:g}.json", adapter, eps)
    return found


def _audited(loaded: LoadedExperiment, path: Path, adapter: str, epsilon: float) -> Mapping[str, Any]:
    if not path.exists():
        changes = {**trained(adapter, epsilon, RATES[adapter, epsilon]), **AUDIT}
        audited = audit_privacy(change_experiment(loaded, changes, source=str(loaded.path)), attacks=())
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json_text(audited.as_json()) + "\n").encode())
    found: Mapping[str, Any] = json.loads(path.read_text())
    return found


def audit_table(audits: Audits) -> str:
    """Lower bounds by adapter and observer, below the ε that is claimed; one that refutes its claim is in bold."""
    rows = []
    for adapter in dict.fromkeys(adapter for adapter, _ in audits):
        of_adapter = [audits[adapter, eps] for eps in EPSILONS]
        for place, view in enumerate(of_adapter[0]["views"]):
            rows.append([f"{_seen_by(view)}, {adapter}", *(_bound(audit, place) for audit in of_adapter)])
    return f"{markdown_table(['ε at least, by audit, as seen by', *map(titled, EPSILONS)], rows)}\n\n{NOTE}"


def _seen_by(view: Mapping[str, Any]) -> str:
    match view["hops"]:
        case 0:
            return "who sees every step"
        case 1:
            return "a neighbor"
        case hops:
            return f"a node {hops} links away"


def _bound(audit: Mapping[str, Any], place: int) -> str:
    shown, claimed = audit["views"][place]["epsilon_lower_bound"], audit["epsilon_claimed"]
    text = f"{shown:.2f}"
    return f"**{text}, refuted**" if shown > (math.inf if claimed is None else claimed) else text
