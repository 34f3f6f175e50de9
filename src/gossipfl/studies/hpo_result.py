"""What the language-model study found, as JSON and as a report for people."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gossipfl.studies.hpo_config import Trial, hpo_experiment
from gossipfl.studies.hpo_losses import Comparison


@dataclass(frozen=True, slots=True)
class Spent:
    """What one node's training has cost its data.

    Attributes:
        gossip_epsilon, alone_epsilon: of either arm; None without privacy.
    """

    gossip_epsilon: float | None
    alone_epsilon: float | None
    target_epsilon: float | None
    delta: float
    noise_multiplier: float | None

    @property
    def within(self) -> bool:
        """Neither arm has spent more than its target."""
        spent = [self.gossip_epsilon, self.alone_epsilon]
        return self.target_epsilon is None or all(each is not None and each <= self.target_epsilon for each in spent)


@dataclass(frozen=True, slots=True)
class HpoNode:
    """One node.

    Attributes:
        name: the node.
        organ_system: what it trains on.
        terms: number it trains on.
        own: losses on held-out terms of its own organ system.
        other: the same on the other node's, of which it has seen nothing.
        spent: privacy.
        bytes_sent: by the node that gossips.
    """

    name: str
    organ_system: str
    terms: int
    own: Comparison
    other: Comparison
    spent: Spent
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What an exported adapter says.

    Attributes:
        node: whose adapter.
        prompt: a held-out question about the other organ system.
        text, base_text: `gossipfl generate` with the adapter and without.
        reloaded_text: PEFT alone, from the same folder.
        adapter_sha256: as `gossipfl export` gave it.
        generated_sha256: as `gossipfl generate` gave it.
    """

    node: str
    prompt: str
    text: str
    base_text: str
    reloaded_text: str
    adapter_sha256: str
    generated_sha256: str


@dataclass(frozen=True, slots=True)
class HpoResult:
    """The whole study.

    Attributes:
        trial: what was asked.
        nodes: one for each organ system.
        answer: of one exported adapter.
        seconds: wall time.
        output: folder that keeps everything.
    """

    trial: Trial
    nodes: Sequence[HpoNode]
    answer: Answer
    seconds: float
    output: Path

    @property
    def shortfall(self) -> str:
        """What was promised and not reached; empty when all was."""
        return "; ".join(_problems(self))

    def as_json(self) -> dict[str, Any]:
        """Everything above, and the shortfall."""
        return {**asdict(self), "output": str(self.output), "shortfall": self.shortfall}


def markdown(result: HpoResult) -> str:
    """The report: a table of losses, what training cost, what the adapter says."""
    return (
        "\n\n".join([_heading(result), _losses(result), _costs(result), _answer(result.answer), _verdict(result)])
        + "\n"
    )


def _problems(result: HpoResult) -> Iterator[str]:
    for node in result.nodes:
        if not node.other.gain > 0:
            yield f"{node.name}: gossip is no better than alone on the other organ system ({node.other.gain:+.4f})"
        if not node.spent.within:
            yield f"{node.name} has spent more than its target ε"
    answer = result.answer
    if answer.text == answer.base_text:
        yield "the adapter says what the base model says"
    if answer.reloaded_text != answer.text:
        yield "PEFT reloads the adapter and says something else"
    if answer.generated_sha256 != answer.adapter_sha256:
        yield "export and generate name different hashes"


def _heading(result: HpoResult) -> str:
    trial, training = result.trial, hpo_experiment(result.trial, arm="gossip").training
    rates = ", ".join(f"{arm} {rate:g}" for arm, rate in trial.rates.items())
    kind = "ε = 8" if trial.private else "no noise"
    return (
        f"# SmolLM2-135M on HPO, two nodes, {training.total_steps} local steps each, {kind}\n\n"
        f"Batch {trial.batch_size}, seed {trial.seed}, learning rate {rates}; {result.seconds:.0f} s.\n"
        f"Loss in nats a token of the answer, mean over held-out terms; gain = alone − gossip, ± its standard error."
    )


def _losses(result: HpoResult) -> str:
    head = ["| node trained on | measured on | terms | base | alone | gossip | gain |", "|---|---|--:|--:|--:|--:|--:|"]
    rows = [
        f"| {node.name} | {side} organ system | {found.terms} | {found.base:.4f} | {found.alone:.4f} "
        f"| {found.gossip:.4f} | {found.gain:+.4f} ± {found.error:.4f} |"
        for node in result.nodes
        for side, found in (("the other's", node.other), ("its own", node.own))
    ]
    return "\n".join([*head, *rows])


def _costs(result: HpoResult) -> str:
    head = ["| node | terms | ε gossip | ε alone | of | δ | σ | kB sent |", "|---|--:|--:|--:|--:|--:|--:|--:|"]
    rows = [
        f"| {node.name}: {node.organ_system} | {node.terms} | {_figure(node.spent.gossip_epsilon)} "
        f"| {_figure(node.spent.alone_epsilon)} | {_figure(node.spent.target_epsilon)} | {node.spent.delta:.1e} "
        f"| {_figure(node.spent.noise_multiplier)} | {node.bytes_sent / 1e3:.1f} |"
        for node in result.nodes
    ]
    return "\n".join([*head, *rows])


def _answer(answer: Answer) -> str:
    same = "the same text" if answer.reloaded_text == answer.text else f"another text: {answer.reloaded_text}"
    return (
        f"Adapter of {answer.node}, exported, SHA-256 `{answer.adapter_sha256}`.\n\n"
        f"- question: {answer.prompt}\n- with the adapter: {answer.text}\n- base model: {answer.base_text}\n"
        f"- `PeftModel` reloaded: {same}"
    )


def _verdict(result: HpoResult) -> str:
    return f"Falls short: {result.shortfall}." if result.shortfall else "All that was promised was reached."


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
