"""experiment.yaml, `data.canaries` and `memorization`: passages to be recited, and how a model is asked for them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gossipfl.config.section import PositiveFloat, PositiveInt, Section

Share = Annotated[float, Field(ge=0, le=1)]


class CanariesConfig(Section):
    """Passages that one node's training data is known to hold, some of them many times.

    They are records of the node's own, drawn by `seed` among those it trains on: private text as it comes. A copy is a
    unit of its own: ε of one record says nothing of ten copies of it.
    """

    node: str = "n0"
    """The owner."""
    count: PositiveInt = 20
    """Passages; more narrow the intervals, and cost attacks in proportion."""
    repeated_share: Share = 0.3
    """Part of them that is repeated, to the nearest whole number."""
    copies: Annotated[int, Field(ge=2)] = 10
    """How often the owner trains on a repeated one in an epoch; the others are there once."""
    characters: PositiveInt = 400
    """A passage's text is as long at least; it has to fill the longest prompt and its continuation."""


class PretrainConfig(Section):
    """A small Llama with a byte-pair tokenizer of its own, made from public text; it takes the place of `model.source`.

    Kept in the cache folder, under the hash of all that decides it.
    """

    source: str
    """Public texts, JSON lines with `data.text`, relative to experiment.yaml; no node trains on them."""
    vocabulary: Annotated[int, Field(ge=300)] = 1024
    """Tokens; the first 256 are bytes."""
    layers: PositiveInt = 4
    hidden: PositiveInt = 128
    """Width; the feed-forward layers are three times as wide."""
    heads: PositiveInt = 4
    steps: PositiveInt = 400
    """Optimizer steps; more and it knows its language better."""
    batch_size: PositiveInt = 16
    learning_rate: PositiveFloat = 3e-3
    """Peak; falls along a cosine."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "PretrainConfig":
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden: {self.hidden} is no multiple of twice {self.heads} heads")
        return self


class CorpusConfig(Section):
    """Text that ships in an installed package; fills the files that are named and not there yet.

    Of definitions that share six words in a row only the first is dealt: a passage is its holder's alone.
    """

    kind: Literal["hpo"] = "hpo"
    """hpo: definitions of the Human Phenotype Ontology, those of an organ system one after the other."""
    characters: PositiveInt = 500
    """A record's text is as long at least, and ends with a definition."""
    records: PositiveInt = 400
    """For `data.source`."""
    test: PositiveInt = 100
    """For `data.test`; the rest is for `memorization.pretrain.source`."""
    private: str | None = None
    """Organ system that `data.source` and `data.test` are of; `memorization.pretrain.source` then is of all others, so
    that there is something to learn. Without it all are of all systems."""


class MemorizationConfig(Section):
    """How `gossipfl audit memorization` asks for canaries; everything else ignores it."""

    prompts: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (10, 50, 100, 200, 500)
    """Lengths in tokens, all ending where the continuation begins; scaled down where `task.max_length` is too small."""
    continuation: PositiveInt = 50
    """Tokens that are compared."""
    bleu: Annotated[float, Field(gt=0, le=1)] = 0.75
    """From here on a continuation counts as recited, though not word for word."""
    pretrain: PretrainConfig | None = None
    """Without it `model.source` is attacked as it is."""
    corpus: CorpusConfig | None = None
    """Without it the files are the user's own."""
