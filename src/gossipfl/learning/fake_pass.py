"""One forward and backward pass of a model of fake tensors, and the most memory that lives at once in it.

Every operation's results are noted when they are made and when they are dropped; views and parameters count nothing.
"""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, UntypedStorage, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gossipfl.learning.context import context_of


def peak_of_pass(module: nn.Module, tensors: Mapping[str, Tensor], autocast: torch.dtype | None) -> int:
    """The most bytes beside parameters and inputs.

    Args:
        tensors: the module's input.
        autocast: type it computes in; None: that of its weights.
    """
    known = [*module.parameters(), *module.buffers(), *tensors.values()]
    with _Live([tensor.untyped_storage() for tensor in known]) as live:
        with torch.autocast("cpu", dtype=autocast, enabled=autocast is not None):
            logits: Tensor = module(**tensors).logits
        _loss(logits).backward()  # type: ignore[no-untyped-call]
    return int(live.peak)


def inputs(module: nn.Module, rows: int, length: int) -> dict[str, Tensor]:
    """Rows as long as they can be, as the model's family reads them; of images, what its configuration says."""
    config: Any = module.config
    if getattr(module, "main_input_name", "input_ids") == "pixel_values":
        return {"pixel_values": torch.zeros(rows, config.num_channels, config.image_size, config.image_size)}
    ids = torch.zeros(rows, min(length, context_of(module) or length), dtype=torch.int64)
    read = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {**read, "decoder_input_ids": ids} if getattr(config, "is_encoder_decoder", False) else read


def _loss(logits: Tensor) -> Tensor:
    """Of every token, or of the class of each row."""
    wanted = logits[:, :-1].flatten(0, 1) if logits.dim() == 3 else logits
    return F.cross_entropy(wanted.float(), torch.zeros(len(wanted), dtype=torch.int64), reduction="none").sum()


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]  # a library without types
    """Bytes of the storages that live.

    Attributes:
        peak: the most so far.
    """

    def __init__(self, known: Sequence[UntypedStorage]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
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
