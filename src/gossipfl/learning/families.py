"""The families of models that are tested, one row each: the table in the README, and what the tests go through.

A family, or a task of one, is a line here; a new one is also a tiny configuration in tests/learning/tiny_families.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_WORDS, _CLASSES, _VECTORS = "causal-lm", "sequence-classification", "vector-classification"
BOTH = (_WORDS, _CLASSES)


@dataclass(frozen=True, slots=True)
class Family:
    """One row.

    Attributes:
        name: for people.
        kind: `model_type` of its configuration in transformers; empty for what is not of transformers.
        tasks: the values of `task.kind` that are tested.
        example: as `model.source` names one.
        targets: ends of the layers' names that an empty `adapter.targets` comes to; none: there is only `full`.
        whole: what keeps `full` from `privacy.level: example`, which is refused before training; empty: nothing.
        elsewhere: values of `task.kind` with tests of their own, not of this table.
    """

    name: str
    kind: str
    tasks: tuple[str, ...]
    example: str
    targets: tuple[str, ...]
    whole: str = ""
    elsewhere: tuple[str, ...] = ()


_QV = ("q_proj", "v_proj")
_PHI = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
_GRIFFIN = ("linear_y", "linear_x", "linear_out", "q_proj", "k_proj", "v_proj", "o_proj")
_GATED = ("gate_proj", "up_proj", "down_proj")
_DISTIL = ("q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2")
_CHOICE, _TAGS, _IMAGES = ("multiple-choice",), ("token-classification",), ("image-classification",)
_SCALES = "its embedding scales what it gives"

FAMILIES: Sequence[Family] = (
    Family("Llama, SmolLM2", "llama", BOTH, "HuggingFaceTB/SmolLM2-135M", _QV, elsewhere=_CHOICE),
    Family("Mistral", "mistral", BOTH, "mistralai/Mistral-7B-v0.3", _QV),
    Family("Qwen 2, 2.5", "qwen2", BOTH, "Qwen/Qwen2.5-0.5B", _QV),
    Family("Qwen 3", "qwen3", BOTH, "Qwen/Qwen3-0.6B", _QV),
    Family("Gemma", "gemma", BOTH, "google/gemma-2b", _QV, _SCALES),
    Family("Gemma 3", "gemma3_text", BOTH, "google/gemma-3-270m", _QV, _SCALES),
    Family("Phi 3, 4 mini", "phi3", BOTH, "microsoft/Phi-4-mini-instruct", _PHI),
    Family("GPT-2", "gpt2", BOTH, "openai-community/gpt2", ("c_attn",)),
    Family("GPT-NeoX, Pythia", "gpt_neox", BOTH, "EleutherAI/pythia-160m", ("query_key_value",)),
    Family("OPT", "opt", BOTH, "facebook/opt-125m", _QV, "its position table shifts"),
    Family(
        "RWKV 4",
        "rwkv",
        (_WORDS,),
        "RWKV/rwkv-4-169m-pile",
        ("key", "value", "receptance"),
        "its recurrence is no layer of its own",
    ),
    Family("Mamba", "mamba", (_WORDS,), "state-spaces/mamba-130m-hf", ("in_proj",)),
    Family("Mamba 2", "mamba2", (_WORDS,), "AntonV/mamba2-130m-hf", ("in_proj",)),
    Family("Falcon Mamba", "falcon_mamba", (_WORDS,), "tiiuae/falcon-mamba-7b", ("in_proj",), "its mixer has buffers"),
    Family(
        "RecurrentGemma",
        "recurrent_gemma",
        (_WORDS,),
        "google/recurrentgemma-2b",
        (*_GRIFFIN, *_GATED),
        "its recurrence takes positions",
    ),
    Family("BERT", "bert", (_CLASSES,), "google-bert/bert-base-uncased", ("query", "value"), elsewhere=_TAGS),
    Family("RoBERTa", "roberta", (_CLASSES,), "FacebookAI/roberta-base", ("query", "value")),
    Family("DistilBERT", "distilbert", (_CLASSES,), "distilbert/distilbert-base-uncased", _DISTIL),
    Family(
        "DeBERTa v3",
        "deberta-v2",
        (_CLASSES,),
        "microsoft/deberta-v3-small",
        ("query_proj", "value_proj"),
        "its relative positions are one row for all",
    ),
    Family("ModernBERT", "modernbert", (_CLASSES,), "answerdotai/ModernBERT-base", ("Wqkv", "Wo", "Wi")),
    Family(
        "T5, flan-T5",
        "t5",
        (_CLASSES,),
        "google/flan-t5-small",
        ("q", "v"),
        "its position bias is one for all",
        ("seq2seq-lm",),
    ),
    Family("ViT", "vit", (), "google/vit-base-patch16-224", _QV, elsewhere=_IMAGES),
    Family(
        "your own in plain torch",
        "",
        (_WORDS,),
        "my_lab.models:lstm_lm",
        ("all linear layers",),
        "torch's LSTM has no per-sample gradient, Opacus' DPLSTM has",
    ),
    Family("small models of vectors", "", (_VECTORS,), "builtin:mlp", ()),
)

BEGIN, END = "<!-- families: made by scripts/reference -->\n", "<!-- end of families -->\n"


def families_table() -> str:
    """The table as Markdown."""
    head = "| family | `task.kind` | for example | `adapter.targets` by default | `privacy.level: example` |\n"
    return head + "| --- | --- | --- | --- | --- |\n" + "".join(map(_line, FAMILIES))


def with_families(readme: str) -> str:
    """The README with the table of now.

    Raises:
        ValueError: its two marks are not there.
    """
    before, _, rest = readme.partition(BEGIN)
    _, mark, behind = rest.partition(END)
    if not mark:
        raise ValueError(f"the README has no table between {BEGIN.strip()} and {END.strip()}")
    return before + BEGIN + families_table() + END + behind


def _line(family: Family) -> str:
    targets = ", ".join(family.targets) or "–, all is trained (`full`)"
    private = "yes" if not family.whole else f"yes; `full` no: {family.whole}"
    cells = (family.name, ", ".join((*family.tasks, *family.elsewhere)), f"`{family.example}`", targets, private)
    return f"| {' | '.join(cells)} |\n"
