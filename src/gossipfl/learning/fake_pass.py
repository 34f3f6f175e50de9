"""One forward and backward pass of a model of fake tensors, and the most memory that lives at once in it.

Every operation's results are noted when they are made and when they are dropped; views and parameters count nothing.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, UntypedStorage, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_of_pass(
    module: nn.Module, tensors: Mapping[str, Tensor], loss: Callable[[Tensor], Tensor], autocast: torch.dtype | None
) -> int:
    """The most bytes beside parameters and inputs.

    Args:
        tensors: the module's input.
        loss: of its logits.
        autocast: type it computes in; None: that of its weights.
    """
    known = [*module.parameters(), *module.buffers(), *tensors.values()]
    with _Live([tensor.untyped_storage() for tensor in known]) as live:
        with torch.autocast("cpu", dtype=autocast, enabled=autocast is not None):
            logits: Tensor = module(**tensors).logits
        loss(logits).backward()  # type: ignore[no-untyped-call]
    return live.peak


def token_loss(logits: Tensor) -> Tensor:
    """As `causal-lm` has it where every token counts."""
    counted = logits[:, :-1].flatten(0, 1).float()
    return F.cross_entropy(counted, torch.zeros(len(counted), dtype=torch.int64), reduction="none").sum()


def class_loss(logits: Tensor) -> Tensor:
    """As classification has it."""
    return F.cross_entropy(logits.float(), torch.zeros(len(logits), dtype=torch.int64), reduction="none").sum()


class _Live(TorchDispatchMode):
    """Bytes of the storages that live.

    Attributes:
        peak: the most so far.
    """

    def __init__(self, known: Sequence[UntypedStorage]) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0
        self._seen = weakref.WeakSet(known)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401  # as torch has it
        """Runs the operation and notes what it has made."""
        out = func(*args, **(kwargs or {}))
        for made in tree_leaves(out):
            if isinstance(made, Tensor):
                self._note(made.untyped_storage())
        return out

    def _note(self, storage: UntypedStorage) -> None:
        if storage in self._seen:
            return
        self._seen.add(storage)
        size = storage.nbytes()
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._drop, size)

    def _drop(self, size: int) -> None:
        self._now -= size
