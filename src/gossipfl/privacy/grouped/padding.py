"""Rows of several batches as one batch, short ones padded."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gossipfl.privacy.rows import Rows

FILL: Mapping[str, float] = {"input_ids": 0, "attention_mask": 0, "labels": -100}
"""What the second dimension is padded with; 0 for any other name. A masked token may be any."""


def join(batches: Sequence[Rows], fill: Mapping[str, float] = FILL) -> Rows:
    """All rows behind one another, and the units numbered on.

    Args:
        batches: each with a row at least, all with the same names.
        fill: by name, what tensors of two dimensions or more are padded with along the second, to the longest.
    """
    if len(batches) == 1:
        return batches[0]
    tensors = {
        name: _joined([batch.tensors[name] for batch in batches], fill.get(name, 0)) for name in batches[0].tensors
    }
    starts, units = [], 0
    for batch in batches:
        starts.append(batch.unit + units)
        units += batch.units
    return Rows(tensors, torch.cat(starts))


def _joined(parts: Sequence[Tensor], fill: float) -> Tensor:
    if parts[0].dim() < 2 or len({part.shape[1] for part in parts}) == 1:
        return torch.cat(list(parts))
    longest = max(part.shape[1] for part in parts)
    joined = parts[0].new_full((sum(map(len, parts)), longest, *parts[0].shape[2:]), fill)
    start = 0
    for part in parts:
        joined[start : start + len(part), : part.shape[1]] = part
        start += len(part)
    return joined
