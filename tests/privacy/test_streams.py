import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from gossipfl.errors import PrivacyError
from gossipfl.privacy.streams import SecretStream, SeededStream, Stream, box_muller

COUNT = 100_000
STREAMS: list[Stream] = [SecretStream(), SeededStream(1, "a", "noise")]


@pytest.mark.parametrize("stream", STREAMS, ids=["secret", "seeded"])
def test_normals_are_normal(stream: Stream) -> None:
    values = stream.normal(COUNT)
    assert values.dtype == np.float64
    assert kstest(values, "norm").pvalue > 1e-6


@pytest.mark.parametrize("stream", STREAMS, ids=["secret", "seeded"])
def test_uniforms_are_uniform(stream: Stream) -> None:
    values = stream.uniform(COUNT)
    assert kstest(values, "uniform").pvalue > 1e-6
    assert 0 <= values.min() <= values.max() < 1


def test_cosine_and_sine_halves_are_uncorrelated() -> None:
    values = SecretStream().normal(COUNT)
    assert abs(np.corrcoef(values[: COUNT // 2], values[COUNT // 2 :])[0, 1]) < 6 / np.sqrt(COUNT / 2)


def test_the_low_bits_of_normals_carry_randomness() -> None:
    mantissas = SecretStream().normal(COUNT).view(np.uint64) & np.uint64(0xFFFF)
    assert len(np.unique(mantissas)) > 50_000


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=20).filter(lambda words: len(words) % 2 == 0))
def test_every_random_word_gives_a_finite_normal(words: list[int]) -> None:
    assert np.abs(box_muller(np.array(words, np.uint64))).max() < 9.6


@pytest.mark.parametrize("count", [0, 1, 2, 7, (1 << 18) + 3])
def test_as_many_numbers_come_as_were_asked_for(count: int) -> None:
    for stream in STREAMS:
        assert stream.normal(count).shape == stream.uniform(count).shape == (count,)


def test_a_secret_stream_never_repeats_itself_whatever_torch_and_numpy_are_seeded_with() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  # the trap itself
        drawn.append(SecretStream().at(3).normal(100))
    assert not np.intersect1d(drawn[0], drawn[1]).size


def test_a_secret_stream_is_neither_saved_nor_copied() -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(PrivacyError):
            attempt(SecretStream())


def test_a_seeded_stream_follows_from_seed_node_purpose_and_step() -> None:
    stream = SeededStream(7, "a", "noise")
    stream.normal(13)  # what was drawn before does not matter
    again = SeededStream(7, "a", "noise").at(5)
    np.testing.assert_array_equal(stream.at(5).normal(10), again.normal(10))
    others = [
        stream.at(6),
        SeededStream(8, "a", "noise", 5),
        SeededStream(7, "b", "noise", 5),
        SeededStream(7, "a", "batches", 5),
    ]
    for other in others:
        assert not np.intersect1d(other.normal(10), stream.at(5).normal(10)).size


def test_only_the_secret_stream_is_private() -> None:
    assert SecretStream().private
    assert not SeededStream(0, "a", "noise").private
