import time
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gossipfl.core.fixed_point import FixedPoint, Words
from gossipfl.protection.masks import mask, stream_keys
from gossipfl.protection.pair_keys import KeyPair

RING = FixedPoint(32, 22, 16.0)
SIZE = 200_000


def secrets_of(count: int, seed: int) -> dict[str, dict[str, bytes]]:
    """What every two of some nodes have agreed on."""
    draw = np.random.default_rng(seed)
    pairs = {f"n{place}": KeyPair.of(draw.bytes(32)) for place in range(count)}
    return {one: {other: pairs[one].agree(pairs[other].public) for other in pairs if other != one} for one in pairs}


def share_of(values: "np.ndarray[tuple[int], np.dtype[np.float32]]", seed: int, *, round: int = 0) -> Words:
    """A share of the first of four senders, under keys of a seed."""
    words = RING.encode(values, 0.25)
    assert words is not None
    mask(words, stream_keys("n0", "v", round, secrets_of(4, seed)["n0"]))
    return words


@settings(max_examples=20)
@given(st.integers(3, 6), st.integers(0, 1000), st.sampled_from([np.uint32, np.uint64]), st.integers(1, 20_000))
def test_masks_of_all_senders_cancel_to_the_last_bit(
    count: int, seed: int, words: type[np.uint32] | type[np.uint64], size: int
) -> None:
    secrets = secrets_of(count, seed)
    rng = np.random.default_rng(seed)
    contents = {name: rng.integers(0, np.iinfo(words).max, size, dtype=words) for name in secrets}
    shares = {name: content.copy() for name, content in contents.items()}
    for name, share in shares.items():
        mask(share, stream_keys(name, "v", 7, secrets[name]))
    assert np.array_equal(
        np.sum(list(shares.values()), axis=0, dtype=words), np.sum(list(contents.values()), axis=0, dtype=words)
    )
    missing = np.sum(list(shares.values())[1:], axis=0, dtype=words)
    if size > 100:
        assert not np.isin(missing, contents["n0"]).all()


@pytest.mark.parametrize("content", ["zeros", "equal", "normal", "largest"])
def test_a_share_cannot_be_told_from_uniform_noise(content: str) -> None:
    values = {
        "zeros": np.zeros(SIZE, np.float32),
        "equal": np.full(SIZE, 0.125, np.float32),
        "normal": np.random.default_rng(3).standard_normal(SIZE).astype(np.float32),
        "largest": np.full(SIZE, 16.0, np.float32),
    }[content]
    share = share_of(values, seed=11)
    counts = np.bincount(share >> np.uint32(24), minlength=256)
    assert stats.chisquare(counts).pvalue > 0.01
    # the lowest bits too, which rounding would show in
    assert stats.chisquare(np.bincount(share & np.uint32(255), minlength=256)).pvalue > 0.01
    assert stats.kstest((share + 0.5) / 2.0**32, "uniform").pvalue > 0.01
    # and the test has teeth: what is not masked fails it
    bare = RING.encode(values, 0.25)
    assert bare is not None
    assert stats.kstest((bare + 0.5) / 2.0**32, "uniform").pvalue < 1e-9


def test_a_share_is_independent_of_what_is_in_it() -> None:
    values = np.random.default_rng(3).standard_normal(SIZE).astype(np.float32)
    one, other = share_of(values, seed=12), share_of(-values, seed=13)
    assert stats.ks_2samp(one.astype(np.float64), other.astype(np.float64)).pvalue > 0.01
    for share in (one, other):
        assert stats.pearsonr(values, share.astype(np.float64)).pvalue > 0.01
        table = np.histogram2d(values > 0, share >> np.uint32(28), bins=(2, 16))[0]
        assert stats.chi2_contingency(table).pvalue > 0.01


@pytest.mark.parametrize("bits", [32, 64])
def test_every_half_word_and_every_block_of_a_share_is_masked_by_itself(bits: Literal[32, 64]) -> None:
    words = np.zeros(SIZE, FixedPoint(bits, 22, 16.0).words)
    mask(words, stream_keys("n0", "v", 0, secrets_of(4, 5)["n0"]))
    halves = words.view(np.uint16).reshape(SIZE, -1)
    for half in halves.T:
        assert stats.chisquare(np.bincount(half >> np.uint16(8), minlength=256)).pvalue > 0.001
        assert stats.chisquare(np.bincount(half & np.uint16(255), minlength=256)).pvalue > 0.001
    # a stream that began anew anywhere would show the same bytes again
    assert np.unique(words.view(np.uint64)).size == words.view(np.uint64).size


def test_rounds_and_receivers_have_streams_of_their_own() -> None:
    values = np.zeros(SIZE, np.float32)
    first, second = share_of(values, seed=1, round=0), share_of(values, seed=1, round=1)
    # where a stream came twice, the difference of two shares would be that of their contents
    difference = first - second
    assert stats.kstest((difference + 0.5) / 2.0**32, "uniform").pvalue > 0.01
    secrets = secrets_of(4, 1)["n0"]
    streams = {
        key for receiver in ("v", "w") for round in (0, 1) for key, _ in stream_keys("n0", receiver, round, secrets)
    }
    assert len(streams) == 2 * 2 * 3


def test_masks_of_eight_senders_cost_little_time() -> None:
    values = np.random.default_rng(3).standard_normal(460_000).astype(np.float32)
    keys = stream_keys("n0", "v", 0, secrets_of(8, 1)["n0"])

    def once() -> float:
        started = time.process_time()
        words = RING.encode(values, 0.125)
        assert words is not None
        mask(words, keys)
        return time.process_time() - started

    # a tenth of the size that the bench measures, at several times its bound: neighbors on the machine
    assert min(once() for _ in range(5)) < 0.1
