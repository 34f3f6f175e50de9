"""Goldfish loss: which tokens are never learned, decided by the tokens before them.

    … t−h … t−1 | t        t is left out of the loss where hash(t−h … t−1) mod k = 0

A model that never had to predict a token in a context cannot recite it there, and since the context decides, every
copy of a passage leaves out the same ones: nothing is put together from several copies.

Source: Hans et al. (2024), arXiv 2406.10209, with the hash of SplitMix64 (Steele, Lea & Flood 2014) in place of theirs.
"""

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.training import GoldfishConfig

_MULTIPLIER = 0x9E3779B97F4A7C15
"""Odd, so that its powers weigh each place of a window differently and none is lost modulo 2⁶⁴."""
_SHIFTS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def left_out(ids: NDArray[np.int32], starts: NDArray[np.int64], config: GoldfishConfig) -> NDArray[np.bool_]:
    """(tokens,) whether a token is left out of the loss; about one in `config.k`.

    Args:
        ids, starts: rows as in `Tokens`.

    Guarantees:
        It depends on the `config.h` tokens before it in its row alone; the first `config.h` of a row all count.
    """
    out = np.zeros(len(ids), np.bool_)
    if len(ids) <= config.h:
        return out
    windows = np.lib.stride_tricks.sliding_window_view(ids[:-1], config.h)
    out[config.h :] = _mixed(_packed(windows)) % np.uint64(config.k) == 0
    place = np.arange(len(ids)) - np.repeat(starts[:-1], np.diff(starts))
    return out & (place >= config.h)


def _packed(windows: NDArray[np.int32]) -> NDArray[np.uint64]:
    """One number for each window; arithmetic is modulo 2⁶⁴."""
    weights = np.cumprod(np.full(windows.shape[1], _MULTIPLIER, np.uint64))
    # a window of first tokens of the vocabulary, number 0, would be all zeros
    return np.asarray((windows.astype(np.uint64) + np.uint64(1)) @ weights, np.uint64)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the result depends on every bit of the value."""
    for shift, factor in _SHIFTS:
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))
