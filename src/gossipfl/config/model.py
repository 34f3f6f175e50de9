"""The sections of experiment.yaml that say what is trained: model, task, adapter."""

import math
import re
from typing import Literal

from pydantic import model_validator

from gossipfl.config.section import Choice, PositiveFloat, PositiveInt, Section

BUILTIN = "builtin:"
"""`model.source` of a model that is built here begins like this."""
ALL_LINEAR = "all-linear"
"""PEFT's word in `adapter.targets`."""
_PLAIN = re.compile(r"(?!builtin:|package:)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""`model.source` of a model of the user's own: module:callable."""


class ModelConfig(Section):
    """The base model that all nodes share: frozen under an adapter, or a small one that is trained whole."""

    source: str
    """Hub id, folder, GGUF file, or `package:DISTRIBUTION/PATH` for a model inside an installed Python package;
    `builtin:mlp` and `builtin:logistic` are small models of vectors, drawn from `seed`; `module:callable` is a language
    model of your own in plain torch: code that is imported and run here."""
    revision: str | None = None
    """Hub revision; a commit hash makes the run repeatable."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type the base weights are kept in; the adapter is always fp32."""
    quantization: Literal["none", "int8", "nf4"] = "none"
    """The base's linear layers in 8 or 4 bits a weight, by bitsandbytes; with a CUDA GPU and the extra `quantization`;
    int8 not at privacy.level example. All nodes alike: a quantized base computes another function."""
    device_map: Literal["one", "auto"] = "one"
    """auto: the layers are spread over all CUDA GPUs of the machine, by accelerate; not at privacy.level example."""
    head_dtype: Literal["float32", "bfloat16"] | None = None
    """Type that a head drawn from the seed is rounded to, the same on all nodes; None: dtype, as this file has it for
    all. Nodes whose machine has another dtype begin with the same head by it."""
    keep_below: bool = False
    """For studies on public data: what the frozen layers below the first trained one give is computed once a record and
    kept in the cache folder, tokens times width times 4 bytes each. Results differ by rounding from those without."""
    inputs: PositiveInt | None = None
    """Builtin models: numbers in a record's vector (pixels of an image)."""
    hidden: tuple[PositiveInt, ...] = ()
    """`builtin:mlp`: width of each hidden layer; more learns more and sends more."""

    @property
    def builtin(self) -> str | None:
        """Name of the builtin model; None where the weights lie in files."""
        return self.source.removeprefix(BUILTIN) if self.source.startswith(BUILTIN) else None

    @property
    def plain(self) -> bool:
        """The source is `module:callable`: code of the user's own."""
        return _PLAIN.fullmatch(self.source) is not None

    @property
    def own_form(self) -> bool:
        """The whole model is written as tensors and a description; transformers has no class for it."""
        return self.plain or self.builtin is not None

    @model_validator(mode="after")
    def _own_code_is_as_it_is(self) -> "ModelConfig":
        others: dict[str, bool] = {
            "revision": self.revision is not None,
            "keep_below": self.keep_below,
            "quantization": self.quantization != "none",
            "device_map": self.device_map != "one",
        }
        if self.plain and any(others.values()):
            given = next(name for name, is_set in others.items() if is_set)
            raise ValueError(f"{given}: is for models of transformers, and {self.source!r} is your own code")
        return self

    @model_validator(mode="after")
    def _builtin_is_described(self) -> "ModelConfig":
        if self.builtin is None:
            if self.inputs is not None or self.hidden:
                raise ValueError(
                    f"source: {self.source!r} has its own widths; inputs and hidden are for builtin models"
                )
            return self
        if self.builtin not in {"mlp", "logistic"}:
            raise ValueError(f"source: {self.source!r} is unknown; there are builtin:mlp and builtin:logistic")
        if self.inputs is None:
            raise ValueError(f"inputs: {self.source} needs the number of numbers in a record's vector")
        if (self.builtin == "mlp") != bool(self.hidden):
            raise ValueError("hidden: builtin:mlp needs the widths of its hidden layers, builtin:logistic has none")
        if self.revision is not None or self.dtype != "float32":
            raise ValueError(f"source: {self.source} is drawn here in float32; it has no revision and no other dtype")
        if self.quantization != "none" or self.device_map != "one":
            raise ValueError(
                f"source: {self.source} is small and trained whole; it has no quantization and no device_map"
            )
        return self


_UNLABELED = frozenset({"causal-lm", "seq2seq-lm", "multiple-choice"})
"""Kinds of task without `task.labels`."""


class TaskConfig(Section):
    """What the model learns to do."""

    kind: Literal[
        "sequence-classification",
        "causal-lm",
        "seq2seq-lm",
        "multiple-choice",
        "vector-classification",
        "image-classification",
        "token-classification",
    ]
    """`causal-lm` takes plain text, or prompt and response with the loss on the response only; `seq2seq-lm` (T5) prompt
    and response; `multiple-choice` questions, of which a causal model answers what it finds likeliest;
    `vector-classification` is for builtin models; `image-classification` for models of images (ViT), with the model's
    own image processor; `token-classification` has a label for each word (named entities)."""
    labels: tuple[str, ...] = ()
    """Class names, public and equal on all nodes; required for classification."""
    max_length: PositiveInt = 128
    """Tokens a record is cut to; more costs time in proportion."""
    choice_score: Literal["mean", "sum"] = "mean"
    """`multiple-choice`: a choice's score is the mean, or the sum, of its tokens' log likelihoods; the sum prefers
    short ones."""
    metrics: tuple[Literal["exact_match", "rouge_l", "chrf"], ...] = ()
    """Of what the model answers to the prompts of held-out and test records, from 0 to 1; for `seq2seq-lm`, and for
    `causal-lm` with prompt and response. Answering costs a pass a token: at a run's end and by `gossipfl evaluate`."""
    max_new_tokens: PositiveInt = 64
    """Tokens of such an answer at most."""
    chat_template: bool = True
    """Prompt and response go through the tokenizer's chat template where it has one."""

    @property
    def classifies(self) -> bool:
        """Records have a label, and there is an accuracy."""
        return self.kind not in _UNLABELED

    @property
    def labels_records(self) -> bool:
        """Each record has one of `labels`."""
        return self.classifies and self.kind != "token-classification"

    @model_validator(mode="after")
    def _labels_are_given(self) -> "TaskConfig":
        if self.classifies and len(set(self.labels)) < 2:
            raise ValueError("labels: classification needs at least two distinct labels")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a label is named twice")
        return self


class AdapterConfig(Section):
    """What is trained and averaged."""

    kind: Choice = "core"
    """full, lora, ffa, alternating or core; core sends the least and averages exactly; alternating is lora of which B
    and A are trained in turn."""
    rank: PositiveInt = 16
    """Rank of the update of each targeted layer; higher learns more and sends more."""
    alpha: PositiveFloat | None = None
    """Scale of the update is alpha / rank; default: 1 for core, 2 for the others."""
    rank_stabilized: bool = False
    """The scale is alpha / sqrt(rank), which grows more slowly with the rank falling; needs alpha."""
    merge: Literal["factors", "svd", "exact", "stack"] = "factors"
    """lora: what is averaged. factors: A and B by themselves, which is off by `averaging_error`. svd: their products,
    brought back to the node's own rank. exact, stack: their products without loss; what factors cannot hold, or with
    stack everything, is folded into the frozen weights, and messages are as large as those."""
    mixed_ranks: bool = False
    """Nodes may have ranks of their own: `rank` of a node in peers.yaml, `simulation.ranks`. For lora with merge svd,
    and for core with a basis file of the highest rank, of which lower ones take the leading part."""
    targets: tuple[str, ...] = ()
    """Ends of the names of the layers to adapt, or `all-linear` for all linear layers of the body, neither head nor
    embeddings; empty: the usual attention projections where PEFT knows the architecture, else as `all-linear`."""
    train_head: bool = True
    """Classification: the head is drawn from the seed, trained and exchanged with the adapter."""
    alternate_every: PositiveInt = 1
    """alternating: phases in which B is trained, then as many for A; more lets nodes agree on what rests."""
    private: tuple[str, ...] = ()
    """Names of trained tensors that never leave the node, * standing for any letters: "classifier.*", "*.layer.5.*".
    They are trained, clipped, noised, saved and exported like the others, and neither sent nor averaged."""
    basis: str | None = None
    """`core`: file with the public factors U, V, relative to experiment.yaml; `gossipfl init` writes it."""

    @model_validator(mode="after")
    def _settings_are_of_the_kind(self) -> "AdapterConfig":
        if ALL_LINEAR in self.targets and len(self.targets) > 1:
            raise ValueError(f"targets: {ALL_LINEAR} means all of them, and stands alone")
        if self.alternate_every != 1 and self.kind != "alternating":
            raise ValueError(f"alternate_every: is for kind alternating, not {self.kind}")
        if self.merge != "factors" and self.kind != "lora":
            raise ValueError(
                f"merge: {self.merge} is for kind lora; the averages of {self.kind} are those of its values"
            )
        if self.mixed_ranks and not (self.merge == "svd" or (self.kind == "core" and self.basis is not None)):
            raise ValueError(
                f"mixed_ranks: {self.kind} of several ranks cannot be averaged; lora with merge svd can, and core with "
                "a basis file"
            )
        if self.rank_stabilized and self.alpha is None:
            raise ValueError("rank_stabilized: the scale alpha / sqrt(rank) needs alpha")
        if self.rank_stabilized and self.kind == "full":
            raise ValueError("rank_stabilized: full has no rank")
        return self

    def scale(self, rank: int) -> float:
        """The s of an update ΔW = s·B·A, or s·U·R·Vᵀ, of a rank."""
        if self.alpha is None:
            return 1.0 if self.kind == "core" else 2.0
        return self.alpha / (math.sqrt(rank) if self.rank_stabilized else rank)
