"""A checkpoint that all nodes have signed, and a stop of all together: what is agreed on, and when it is whole.

plan        one node asks: after phase p everybody keeps its state; `stops`: and ends there
statement   each node: this is the state that I keep for the plan, and so far is my ledger
whole       ⇔  every node of the plan has stated
branch      names what a run was rolled back to, from the beginning on: hash(branch before, plan)

Nodes that were rolled back alike have the same branch, all others another one: they greet by it and refuse each other.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from gossipfl.core.json_text import json_text
from gossipfl.core.papers import Believes, Paper, body_of

PLAN = "gossipfl common checkpoint plan 1"
STATEMENT = "gossipfl common checkpoint statement 1"
BRANCH = "branch"
"""Component of the fingerprint by which nodes greet; none in a run that was never rolled back."""
MOST_NODES = 1024
_APART = "schedule"
"""Component of the fingerprint that may change while a federation stays the same."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one node asks all to do.

    Attributes:
        federation: see `federation_of`.
        branch: of the run; empty where it was never rolled back.
        phase: number of training phases after which the state is kept.
        nodes: sorted; who is to sign.
        stops: everybody ends there.
        asked_by: the node that asks; it has signed.
    """

    federation: str
    branch: str
    phase: int
    nodes: tuple[str, ...]
    stops: bool
    asked_by: str

    @property
    def text(self) -> bytes:
        """What is signed."""
        return json_text({"format": PLAN, **asdict(self)}).encode()

    @property
    def digest(self) -> str:
        """Names the plan, whoever signs it how often, hex."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def key(self) -> str:
        """The same for people, and for folders."""
        return f"{self.phase}-{self.digest[:8]}"


@dataclass(frozen=True, slots=True)
class Statement:
    """What one node keeps for a plan.

    Attributes:
        plan: its digest.
        federation: as in the plan.
        node: who says so; it has signed.
        phase, step: where it was: past the plan's phase if it heard of it late, before it if its budget was spent.
        state: digest of what it would publish of the state.
        checkpoint: digest of all that it keeps, with a secret in it, so that it tells nothing.
        charges, head: of its ledger; 0 and empty without privacy.
    """

    plan: str
    federation: str
    node: str
    phase: int
    step: int
    state: str
    checkpoint: str
    charges: int
    head: str

    @property
    def text(self) -> bytes:
        """What is signed."""
        return json_text({"format": STATEMENT, **asdict(self)}).encode()


_Said = TypeVar("_Said", Plan, Statement)


@dataclass(frozen=True, slots=True)
class Gathered:
    """A plan and what was stated for it.

    Attributes:
        statements: by node.
    """

    plan: Plan
    statements: Mapping[str, Statement]

    @property
    def missing(self) -> tuple[str, ...]:
        """Who has not stated."""
        return tuple(name for name in self.plan.nodes if name not in self.statements)

    @property
    def apart(self) -> dict[str, int]:
        """Phases of those that kept the state of another one, by node."""
        phases = {name: statement.phase for name, statement in self.statements.items()}
        return {name: phase for name, phase in phases.items() if phase != self.plan.phase}

    @property
    def whole(self) -> bool:
        """Every node of the plan has stated."""
        return not self.missing


def federation_of(fingerprint: Mapping[str, str]) -> str:
    """Digest of what all nodes of a federation have in common, whatever graph they are in and wherever they are."""
    kept = {name: value for name, value in fingerprint.items() if name not in {_APART, BRANCH}}
    return hashlib.sha256(json_text(sorted(kept.items())).encode()).hexdigest()


def branch_after(before: str, plan: Plan) -> str:
    """The branch of a run that goes on from a plan's checkpoint."""
    return f"{plan.phase}-{hashlib.sha256(f'{before} {plan.digest}'.encode()).hexdigest()[:24]}"


def plan_in(paper: Paper, believes: Believes) -> Plan | None:
    """The plan in a paper; None: it is another kind of paper.

    Raises:
        ValueError: it makes no sense, or was not signed by the node that asks.
    """
    body = body_of(paper, PLAN)
    if body is None:
        return None
    plan = Plan(
        federation=_word(body, "federation"),
        branch=_word(body, "branch"),
        phase=_count(body, "phase"),
        nodes=_names(body),
        stops=body.get("stops") is True,
        asked_by=_word(body, "asked_by"),
    )
    return _signed(plan, plan.asked_by, paper, believes)


def statement_in(paper: Paper, believes: Believes) -> Statement | None:
    """The statement in a paper; None: it is another kind of paper.

    Raises:
        ValueError: it makes no sense, or was not signed by the node that states.
    """
    body = body_of(paper, STATEMENT)
    if body is None:
        return None
    words = {name: _word(body, name) for name in ("plan", "federation", "node", "state", "checkpoint", "head")}
    counts = {name: _count(body, name) for name in ("phase", "step", "charges")}
    statement = Statement(**words, **counts)  # type: ignore[arg-type]  # names and types are those of the fields
    return _signed(statement, statement.node, paper, believes)


def gather(papers: Iterable[Paper], believes: Believes) -> tuple[Gathered, dict[str, str]]:
    """What a signed common checkpoint amounts to, and why some statements in it count for nothing, by node.

    Args:
        papers: the plan first, then statements in any order.

    Raises:
        ValueError: it does not begin with a plan that is signed by who asks.
    """
    papers = iter(papers)
    first = next(papers, None)
    plan = None if first is None else plan_in(first, believes)
    if plan is None:
        raise ValueError("a common checkpoint begins with its plan")
    statements: dict[str, Statement] = {}
    refused: dict[str, str] = {}
    for number, paper in enumerate(papers, start=2):
        try:
            statement = statement_in(paper, believes)
        except ValueError as error:
            refused[f"line {number}"] = str(error)
            continue
        if statement is not None and belongs(statement, plan):
            statements.setdefault(statement.node, statement)
    return Gathered(plan, statements), refused


def belongs(statement: Statement, plan: Plan) -> bool:
    """Whether a statement is one for a plan, by a node of it."""
    same = (statement.plan, statement.federation) == (plan.digest, plan.federation)
    return same and statement.node in plan.nodes


def _signed(said: _Said, signer: str, paper: Paper, believes: Believes) -> _Said:
    """What a paper says, if it says exactly that and is signed by whom it names."""
    # what is written otherwise would have a digest of its own
    if said.text != paper.text or not believes(signer, paper):
        raise ValueError(f"a {type(said).__name__.lower()} that {signer[:63]!r} has not signed")
    return said


def _word(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or len(value) > 128:
        raise ValueError(f"{name}: a short text was expected")
    return value


def _count(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise ValueError(f"{name}: a count was expected")
    return value


def _names(body: Mapping[str, Any]) -> tuple[str, ...]:
    found = body.get("nodes")
    if not isinstance(found, list) or not 0 < len(found) <= MOST_NODES:
        raise ValueError(f"nodes: 1 to {MOST_NODES} names were expected")
    if not all(isinstance(name, str) and len(name) <= 63 for name in found) or found != sorted(set(found)):
        raise ValueError("nodes: names were expected, sorted, each once")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a node agrees to.

    Attributes:
        name: the node.
        federation, branch: what it runs.
        nodes: whom it takes for all.
        phases: of the whole run.
        coordinators: whose plans it follows, besides its own operator's.
        unfit: why the run has no common checkpoints at all; empty: it may have.
        rounds_per_phase: of protocols whose rounds are numbered through; 0: each node mixes at its own pace.
    """

    name: str
    federation: str
    branch: str
    nodes: Collection[str]
    phases: int
    coordinators: Collection[str] = ()
    unfit: str = ""
    rounds_per_phase: int = 0

    def refusal(self, plan: Plan) -> str:
        """Why this node does not follow a plan; empty: it does."""
        if self.unfit:
            return self.unfit
        if plan.asked_by not in {self.name, *self.coordinators}:
            return f"{plan.asked_by!r} is not among `coordinators` in the peers.yaml of {self.name!r}"
        if plan.federation != self.federation:
            return "it is for another federation: model, adapter or gossip differ"
        return self._misfit(plan)

    def has_reached(self, plan: Plan, *, phase: int, round: int, exhausted: bool) -> bool:
        """Whether a node that has trained so many phases and mixed so many rounds is to keep its state.

        Where rounds are numbered through, all nodes keep that of the same one: then they go on as if nothing had been.
        Else one that trains no more keeps what it has.
        """
        if self.rounds_per_phase:
            return round >= plan.phase * self.rounds_per_phase
        return phase >= plan.phase or exhausted

    def _misfit(self, plan: Plan) -> str:
        if plan.branch != self.branch:
            return f"it is for a run {rolled_back(plan.branch)}; {self.name!r} is {rolled_back(self.branch)}"
        if plan.nodes != tuple(sorted(self.nodes)):
            return f"it is for nodes {_several(plan.nodes)}; {self.name!r} knows {_several(sorted(self.nodes))}"
        if not 1 <= plan.phase <= self.phases:
            return f"phase {plan.phase}: 1 to {self.phases} was expected"
        return ""


def rolled_back(branch: str) -> str:
    """A branch in words."""
    phase = branch.partition("-")[0]
    return f"rolled back to phase {phase[:16]} (branch {branch[:48]})" if branch else "never rolled back"


def _several(names: Collection[str]) -> str:
    return ", ".join([*names][:8]) + (", …" if len(names) > 8 else "")
