"""The model card of an export: README.md as the Hugging Face hub reads it, metadata in front.

    experiment, base model, hashes ─┐
    what the run knows (Story) ─────┴─> card.md ──> README.md

It is made to be published, so nothing in it tells of single records: no record, no path, and no number that the size of
the node's data decides. That size is private where ε protects adding or removing a unit, and the sample rate, the noise
multiplier and the default δ = 1/(2n) would give it away: ε is rounded up to two digits and stated at a δ that the
experiment names, or at the largest there is.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from yaml import YAMLError

from gossipfl.config.experiment import Experiment
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.card_code import loading_code, own_commands
from gossipfl.learning.sources import hub_id
from gossipfl.learning.tasks import KINDS
from gossipfl.privacy.plan import LARGEST_DELTA

CARD = "README.md"
_PIPELINES = {
    "AutoModelForCausalLM": "text-generation",
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForImageClassification": "image-classification",
}
"""Class that loads the model to what the hub calls its task."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the node's data has paid.

    Attributes:
        epsilon: by all runs on the data together, at `delta`; never below what covers the exported state.
        delta: of the account.
        mechanism: what the charges paid for.
        public: every run said that the data is public.
    """

    epsilon: float
    delta: float
    mechanism: str
    public: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """How a recorded run was driven: what is exported is no real node's.

    Attributes:
        title: ends the card's.
        whose: one sentence: what the state is.
        tags: of the hub.
        mixing: row of the table in place of topology and protocol, where another mixed; None: they gossiped.
        trusting: ε is against those who trust the server.
    """

    title: str
    whose: str
    tags: tuple[str, ...]
    mixing: tuple[str, str] | None = None
    trusting: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """What a run adds to a card; None where it is not known.

    Attributes:
        nodes: that took part.
        step: optimizer steps of this node in the state.
        bytes_sent, bytes_received: by this node, over all its lives.
        test_loss, test_accuracy: on the common public test set.
        spent: None without privacy.
        recorded: None of a real node.
    """

    nodes: int | None = None
    step: int | None = None
    bytes_sent: int | None = None
    bytes_received: int | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    spent: Spent | None = None
    recorded: Recorded | None = None


_OF_A_NODE = Recorded(
    title="fine-tuned without a server",
    whose="One node's state after decentralized federated fine-tuning with gossipfl: every node trained on data that "
    "never left it, and averaged what it learned with its neighbors.",
    tags=("federated-learning", "decentralized"),
)


def card_of(adapted: Adapted, story: Story, *, sha256: str, whole: bool) -> ModelCard:
    """The card of an export.

    Args:
        sha256: of the weights file.
        whole: the folder holds the whole model, not an adapter for PEFT.

    Guarantees:
        Equal for equal arguments and versions: no date, no path of this machine.
    """
    experiment, base = adapted.experiment, adapted.base
    told = story.recorded or _OF_A_NODE
    card: ModelCard = ModelCard.from_template(
        _metadata(adapted, told, whole=whole),
        template_str=files("gossipfl.learning").joinpath("templates/card.md").read_text(encoding="utf-8"),
        title=f"{base_name(base.source)}, {told.title}",
        summary=_summary(experiment, told, whole=whole),
        code=loading_code(adapted, whole=whole),
        commands=own_commands(experiment),
        training=list(_training(experiment, story)),
        data=list(_data(experiment, story)),
        privacy=_privacy(experiment, story),
        files=list(_files(adapted, sha256)),
    )
    return card


def base_name(source: str) -> str:
    """A base model by a name that tells nothing of this machine: hub id, package and path, or a folder's last name."""
    return Path(source).name if Path(source).is_absolute() else source


def _metadata(adapted: Adapted, told: Recorded, *, whole: bool) -> ModelCardData:
    experiment, base = adapted.experiment, adapted.base
    # seeded noise is not private
    kind, private = experiment.adapter.kind, experiment.privacy.level != "none" and told is _OF_A_NODE
    tags = ["gossipfl", *told.tags, *([] if kind == "full" else ["lora"])]
    # the hub takes no other base model than one of its own
    known = hub_id(base.source)
    relation: dict[str, Any] = {"base_model_relation": "finetune" if whole else "adapter"} if known else {}
    return ModelCardData(
        base_model=known,
        library_name="peft" if not whole else None if experiment.model.own_form else "transformers",
        pipeline_tag=_PIPELINES.get(KINDS[experiment.task.kind].model_class),
        tags=[*tags, *(["differential-privacy"] if private else [])],
        datasets=experiment.data.source if experiment.data.format == "hub" else None,
        **_license(base.folder),
        **relation,
    )


def _license(folder: Path | None) -> dict[str, Any]:
    """Of the base model, where its own card names one: what is made of it is under it, too."""
    try:
        # the library's own reader would ask the hub for a file that is not there
        text = "" if folder is None else (folder / CARD).read_text(encoding="utf-8")
        if not text.startswith("---"):
            return {}
        data: Any = ModelCard(text, ignore_metadata_errors=True).data
        said = data.to_dict()
    # no card, or one that nobody can read: then no license is known
    except (OSError, ValueError, YAMLError):
        return {}
    names = ("license", "license_name", "license_link")
    return {name: said[name] for name in names if isinstance(said.get(name), str)}


def _summary(experiment: Experiment, told: Recorded, *, whole: bool) -> str:
    builtin, kind = experiment.model.builtin, experiment.adapter.kind
    if builtin:
        what = f"All weights of a small model ({experiment.model.source})"
    else:
        what = "The whole model with its update folded in" if whole else "An adapter for PEFT"
    adapter = f"{kind} of rank {experiment.adapter.rank}" if kind != "full" else "all weights trained"
    return f"{what}, for {experiment.task.kind} ({adapter}). {told.whose}"


def _training(experiment: Experiment, story: Story) -> Iterator[tuple[str, object]]:
    topology, gossip = experiment.topology, experiment.gossip
    if story.nodes is not None:
        yield "nodes", story.nodes
    if story.recorded is not None and story.recorded.mixing is not None:
        yield story.recorded.mixing
    else:
        # a graph of a file has a path in its place
        yield "topology", f"{Path(topology.kind).name}, schedule {topology.schedule}"
        yield "protocol", f"{gossip.protocol}, mixing {gossip.mixing}, codec {gossip.codec}"
        yield "protection", experiment.protection.kind
    if story.step is not None:
        yield "optimizer steps of this node", story.step
    if story.bytes_sent is not None and story.bytes_received is not None:
        yield "bytes sent, received by this node", f"{story.bytes_sent:,}, {story.bytes_received:,}"
    if story.test_loss is not None:
        yield "loss on the common public test set", f"{story.test_loss:.4g}"
    if story.test_accuracy is not None:
        yield "accuracy on the common public test set", f"{story.test_accuracy:.4g}"


def _data(experiment: Experiment, story: Story) -> Iterator[tuple[str, object]]:
    task, data = experiment.task, experiment.data
    yield "task", task.kind
    if task.labels:
        yield "labels", ", ".join(_cell(label) for label in task.labels)
    yield "columns read", ", ".join(f"`{_cell(name)}`" for name in _columns(experiment))
    if experiment.model.builtin is None and task.kind != "image-classification":
        yield "tokens of a record at most", task.max_length
    if data.unit is not None:
        yield "column that says whose a record is", f"`{_cell(data.unit)}`"
    if story.spent is not None:
        yield "public", "yes, by the node's own word" if story.spent.public else "no"
    if data.source is not None:
        yield "one dataset, dealt to the nodes", data.split.kind


def _columns(experiment: Experiment) -> list[str]:
    """Of those that the task reads, the public names."""
    task, data = experiment.task, experiment.data
    label = [data.label] if task.labels_records else []
    match task.kind:
        case "vector-classification":
            return [data.features, *label]
        case "image-classification":
            return [data.image, *label]
        case "token-classification":
            return [data.words, data.tags]
        case "multiple-choice":
            return [data.question, *data.choices, data.answer]
        case _ if data.prompt is not None and data.response is not None:
            return [data.prompt, data.response]
        case _:
            return [data.text, *label]


def _privacy(experiment: Experiment, story: Story) -> str:
    if experiment.privacy.level == "none" and (story.recorded is None or story.spent is None):
        return (
            "None: `privacy.level` is none. The weights may reveal records that they were trained on; publish them "
            "only where the records could be published."
        )
    spent = story.spent
    if spent is None:
        return f"`privacy.level` is {experiment.privacy.level}; what was spent is in the node's ledger, not here."
    delta = experiment.privacy.target_delta or LARGEST_DELTA
    if story.recorded is not None:
        trusting = ", against those who trust the server" if story.recorded.trusting else ""
        return (
            "**None here: the noise of this run comes from a seed, and who knows the seed takes it off again.** A real "
            f"node in its place would have paid ε ≤ {rounded_up(spent.epsilon)} at δ ≤ {delta:g}{trusting}.\n\n"
            f"- Mechanism: {spent.mechanism}.\n- Protected unit: {_unit(experiment)}."
        )
    return (
        f"**ε ≤ {rounded_up(spent.epsilon)} at δ ≤ {delta:g}**: all that this node's data has paid, in all runs on it "
        f"together, as its ledger counts.\n\n"
        f"- Mechanism: {spent.mechanism or experiment.privacy.level}.\n"
        f"- Protected unit: {_unit(experiment)}.\n"
        "- It speaks of this node's data alone. What the other nodes' data has paid stands in their ledgers."
    )


def _unit(experiment: Experiment) -> str:
    if experiment.privacy.releases_phases:
        return "all data of the node, present or absent"
    if experiment.data.unit is None:
        return "one record, added or removed"
    return f"whoever `{_cell(experiment.data.unit)}` names (a person, say) with all records, added or removed"


def rounded_up(epsilon: float) -> str:
    """Two digits, never below the value: a bound that does not tell what decides the digits behind."""
    if not 0 < epsilon < math.inf:
        return "0" if epsilon == 0 else "∞"
    digits = Decimal(1).scaleb(math.floor(math.log10(epsilon)) - 1)
    return f"{float(Decimal(epsilon).quantize(digits, ROUND_CEILING)):g}"


def _files(adapted: Adapted, sha256: str) -> Iterator[tuple[str, object]]:
    yield "SHA-256 of the weights here", f"`{sha256}`"
    yield "base model", f"`{_cell(base_name(adapted.base.source))}`"
    if revision := adapted.experiment.model.revision:
        yield "its revision", f"`{_cell(revision)}`"
    yield "SHA-256 of the base model", f"`{adapted.base.sha256}`"
    yield "versions", ", ".join(f"{name} {version(name)}" for name in ("gossipfl", "torch", "transformers", "peft"))


def _cell(text: str) -> str:
    """A user's words in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
