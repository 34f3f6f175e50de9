"""The frozen layers below the first trained one: what they give for a row is computed once, and looked up from then on.

    embeddings ─> layer 0 ─ … ─ layer k − 1 ─> layer k, trained ─ … ─> head
                  └──── by row, in files ────┘

For studies: with the upper third of a model trained, two thirds of the forward pass are the same in every run. Results
differ from those without by rounding, since a row was computed beside other rows. The files hold what is derived from
the records: only for data that is public.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from blake3 import blake3
from torch import Tensor, nn

from gossipfl.errors import ModelError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.cache import cache_folder
from gossipfl.learning.kept_rows import KEY_BYTES, KeptRows

Forward = Callable[..., Tensor]


def keep_below(adapted: Adapted) -> None:
    """Makes the module look up what its lowest layers give; the files are in the cache folder.

    Raises:
        ModelError: no layer lies below the trained ones.
    """
    layers = frozen_below(adapted)
    # whatever decides what comes out
    wished = (adapted.base.sha256, adapted.base.head_sha256, len(layers), adapted.experiment.training.precision)
    name = blake3(repr((*wished, adapted.experiment.model.dtype)).encode()).hexdigest()[:32]
    known = _Known([layer.forward for layer in layers], cache_folder() / "below" / name)
    first, *others = layers
    # in the instance, before the class's own: names of parameters stay
    vars(first)["forward"] = known
    for layer in others:
        vars(layer)["forward"] = _as_it_is


def frozen_below(adapted: Adapted) -> Sequence[nn.Module]:
    """The layers of the model's longest list of layers that come before the first trained one.

    Raises:
        ModelError: there is none, or something is trained that is neither in that list nor in the head.
    """
    lists = [(name, part) for name, part in adapted.module.named_modules() if isinstance(part, nn.ModuleList)]
    if not lists:
        raise ModelError("model.keep_below: the model has no list of layers")
    name, layers = max(lists, key=lambda found: len(found[1]))
    trained = [name for name, parameter in adapted.module.named_parameters() if parameter.requires_grad]
    elsewhere = [one for one in trained if not one.startswith(f"{name}.") and one not in adapted.base.head]
    if elsewhere:
        raise ModelError(f"model.keep_below: {elsewhere[0]} is trained and stands neither in {name} nor in the head")
    frozen = [not any(parameter.requires_grad for parameter in layer.parameters()) for layer in layers]
    below = frozen.index(False) if False in frozen else len(frozen)
    if not below:
        raise ModelError(f"model.keep_below: no layer of {name} lies below the first trained one")
    return list(layers[:below])


class _Known:
    """The forward of the lowest layer in place of all of them."""

    def __init__(self, forwards: Sequence[Forward], folder: Path) -> None:
        self._forwards = forwards
        self._folder = folder
        self._files: dict[int, KeptRows] = {}

    def __call__(self, hidden: Tensor, attention_mask: Tensor | None = None, *rest: Any, **options: Any) -> Tensor:  # noqa: ANN401  # the model's own
        """(rows, tokens, width) that comes out of the last of them."""
        size = hidden[0].numel()
        files = self._files.setdefault(size, KeptRows(self._folder, size))
        keys = _keys(hidden, attention_mask)
        missing = [number for number, place in enumerate(files.find(keys)) if place is None]
        if missing:
            mask = attention_mask if attention_mask is None else attention_mask[missing]
            computed = self._compute(hidden[missing], mask, *rest, **options)
            files.keep([keys[number] for number in missing], computed.float().flatten(1).cpu().numpy())
        places = [place for place in files.find(keys) if place is not None]
        return torch.from_numpy(files.take(places)).view(hidden.shape).to(hidden.device, hidden.dtype)

    def _compute(self, hidden: Tensor, *rest: Any, **options: Any) -> Tensor:  # noqa: ANN401
        with torch.no_grad():
            for forward in self._forwards:
                hidden = forward(hidden, *rest, **options)
        return hidden


def _keys(hidden: Tensor, mask: Tensor | None) -> list[bytes]:
    """A key for each row: the hash of all that goes in."""
    rows = hidden.detach().float().cpu().contiguous().numpy()
    masks = [b""] * len(rows) if mask is None else [row.tobytes() for row in mask.cpu().numpy()]
    both = zip(rows, masks, strict=True)
    return [blake3(row.data.cast("B")).update(masked).digest(length=KEY_BYTES) for row, masked in both]


def _as_it_is(hidden: Tensor, *_rest: object, **_options: object) -> Tensor:
    return hidden
