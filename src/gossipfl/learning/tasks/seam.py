"""What a kind of task is: how a model reads rows, what it loses on each, and what evaluation counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gossipfl.config.experiment import TaskConfig

Tensors = Mapping[str, Tensor]
"""Those of a `Rows`: the model's input and `labels`, each (rows, …)."""


@dataclass(frozen=True, slots=True)
class Measuring:
    """What is measured beside loss and accuracy, over all rows at once.

    Attributes:
        names: of the figures, as they are recorded: after `own_` and `test_` in a run's lines.
        answers: (module, tensors, logits) to what is kept of a micro-batch until all have come; not on a GPU.
        conclude: (what was kept, in order, the task) to the figures by name, at least one row having come; one that
            these rows cannot have is left out.
    """

    names: tuple[str, ...]
    answers: Callable[[nn.Module, Tensors, Tensor], Any]
    conclude: Callable[[Sequence[Any], TaskConfig], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One value of `task.kind`.

    Attributes:
        logits: (module, tensors) to what the model says, in the type it computes in.
        lose: (logits, labels) to (rows,) fp32 loss of each row.
        count: (logits, labels) to (rows,) how much each row asks for, and (rows,) how much of it is said first.
        model_class: transformers' class that loads such a model; empty where none does.
        peft_type: PEFT's name of it, which stands in an exported adapter.
        judge: (module, tensors of `rows_in_order`, task) to (rows,) losses, and what `count` gives, by passes of its
            own; None: by the one pass of training.
        has_head: what stands on the body is drawn from the seed where files lack it, trained and exchanged.
        measuring: what else is measured; None: nothing.
        reads_images: through an image processor, in the place of a tokenizer.
    """

    logits: Callable[[nn.Module, Tensors], Tensor]
    lose: Callable[[Tensor, Tensor], Tensor]
    count: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    model_class: str = ""
    peft_type: str = ""
    has_head: bool = False
    judge: Callable[[nn.Module, Tensors, TaskConfig], tuple[Tensor, Tensor, Tensor]] | None = None
    measuring: Measuring | None = None
    reads_images: bool = False

    @property
    def says_text(self) -> bool:
        """Its models continue a prompt, or answer it."""
        return self.model_class in {"AutoModelForCausalLM", "AutoModelForSeq2SeqLM"}
