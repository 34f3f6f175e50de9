"""Macro-F1: how well each class is found, all classes counting alike however rare they are.

    F1(class) = 2 · right / (times it was said + times it was true)        macro-F1 = mean over the classes that occur

A class occurs that is true or said at least once: what scikit-learn's `f1_score(true, said, average="macro")` does. So
a class that the examples lack costs nothing unless it is said, and then its F1 is 0; who says all that is true has 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gossipfl.config.experiment import TaskConfig
from gossipfl.learning.data.content import IGNORED
from gossipfl.learning.tasks.seam import Measuring, Tensors

MACRO_F1 = "macro_f1"


def macro_f1(true: Tensor, said: Tensor, *, classes: int) -> float:
    """Of (n,) numbers of classes each, n at least 1."""
    right = torch.bincount(true[true == said], minlength=classes)
    times = torch.bincount(true, minlength=classes) + torch.bincount(said, minlength=classes)
    occur = times > 0
    return float((2 * right[occur].double() / times[occur]).mean())


def _answers(module: nn.Module, tensors: Tensors, logits: Tensor) -> Tensor:  # noqa: ARG001  # nothing more is asked
    """(2, n) what is true and what is said, of labels that count."""
    labels = tensors["labels"]
    counted = labels != IGNORED
    return torch.stack([labels[counted], logits.argmax(-1)[counted]]).cpu()


def _conclude(answers: Sequence[Tensor], task: TaskConfig) -> dict[str, float]:
    true, said = torch.cat(list(answers), dim=1)
    return {MACRO_F1: macro_f1(true, said, classes=len(task.labels))}


OF_CLASSES = Measuring((MACRO_F1,), _answers, _conclude)
