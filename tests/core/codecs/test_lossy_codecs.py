"""Every compression keeps what its formula promises, says how large it can be, and refuses what it did not make."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossipfl.core.codecs import Codec, Stream
from gossipfl.core.codecs.blocks import BLOCK, Blocks
from gossipfl.core.codecs.dtypes import Brain, Half, Plain
from gossipfl.core.codecs.low_rank import LowRank
from gossipfl.core.codecs.sparse import RandomK, TopK, kept, largest
from gossipfl.core.codecs.squeezed import Squeezed
from gossipfl.state import AdapterSpec, Segment

ALL: list[Codec] = [
    Plain(),
    Half(),
    Brain(),
    Blocks(8),
    Blocks(4),
    TopK(0.1),
    TopK(0.01),
    RandomK(0.1),
    LowRank(2),
    Squeezed(Blocks(8)),
    Squeezed(TopK(0.1)),
]
NAMES = [f"{codec.name}-{place}" for place, codec in enumerate(ALL)]
SIZES = st.sampled_from([0, 1, 2, 3, 7, BLOCK - 1, BLOCK, BLOCK + 1, 1000, 2**15 - 1, 2**15 + 1, 40_003])
Values = NDArray[np.float32]


def flat(size: int) -> AdapterSpec:
    return AdapterSpec((Segment("vector", (size,)),))


def drawn(size: int, seed: int = 0) -> Values:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def stream(seed: int = 0) -> Stream:
    return Stream(np.random.default_rng(seed))


def there_and_back(codec: Codec, values: Values, spec: AdapterSpec, own: Stream) -> Values:
    payload = memoryview(codec.encode(values, spec, own)).cast("B")
    assert payload.nbytes in codec.sizes(spec)
    return codec.decode(payload, spec)


@pytest.mark.parametrize("codec", ALL, ids=NAMES)
@given(size=SIZES, seed=st.integers(0, 9))
def test_as_many_values_come_back_and_none_is_wild(codec: Codec, size: int, seed: int) -> None:
    values = drawn(size, seed)
    back = there_and_back(codec, values, flat(size), stream(seed))
    assert back.shape == values.shape
    assert back.dtype == np.float32
    assert np.isfinite(back).all()


@pytest.mark.parametrize("codec", ALL, ids=NAMES)
def test_nothing_is_made_of_nothing(codec: Codec) -> None:
    zeros = np.zeros(1000, np.float32)
    assert not there_and_back(codec, zeros, flat(1000), stream()).any()


@pytest.mark.parametrize("codec", ALL, ids=NAMES)
@given(data=st.data())
def test_bytes_of_somebody_else_are_refused_or_decoded_but_never_a_crash(codec: Codec, data: st.DataObject) -> None:
    spec = flat(300)
    size = data.draw(st.one_of(st.sampled_from(codec.sizes(spec)), st.integers(0, codec.sizes(spec)[-1])))
    payload = memoryview(data.draw(st.binary(min_size=size, max_size=size)))
    try:
        back = codec.decode(payload, spec)
    except ValueError:
        return
    assert back.shape == (300,)


@pytest.mark.parametrize("codec", ALL, ids=NAMES)
def test_a_payload_that_was_cut_is_refused(codec: Codec) -> None:
    spec = flat(1000)
    payload = memoryview(codec.encode(drawn(1000), spec, stream())).cast("B")
    for cut in (payload[:-1], payload[:0], memoryview(bytes(payload) + b"\0")):
        with pytest.raises(ValueError):  # noqa: PT011  # each says it in its own words
            codec.decode(cut, spec)


@pytest.mark.parametrize(("codec", "precision"), [(Half(), 2.0**-11), (Brain(), 2.0**-8)], ids=["fp16", "bf16"])
@given(values=st.lists(st.floats(-6e4, 6e4, width=32).filter(lambda value: not value or abs(value) > 1e-4), min_size=1))
def test_numbers_of_two_bytes_are_rounded_to_the_nearest(codec: Codec, precision: float, values: list[float]) -> None:
    own = np.array(values, np.float32)
    back = there_and_back(codec, own, flat(own.size), stream())
    assert (np.abs(back - own) <= precision * np.abs(own)).all()


@pytest.mark.parametrize("codec", [Half(), Brain()], ids=["fp16", "bf16"])
def test_numbers_out_of_range_become_the_largest_that_there_are(codec: Codec) -> None:
    back = there_and_back(codec, np.array([3e38, -3.4e38, 7e4], np.float32), flat(3), stream())
    assert np.isfinite(back).all()
    assert (np.sign(back) == [1, -1, 1]).all()
    assert (np.abs(back) > 6.5e4).all()


def test_bf16_is_what_torch_makes_of_it() -> None:
    import torch  # noqa: PLC0415

    values = drawn(10_000)
    wanted = torch.from_numpy(values).to(torch.bfloat16).to(torch.float32).numpy()
    np.testing.assert_array_equal(there_and_back(Brain(), values, flat(10_000), stream()), wanted)


@pytest.mark.parametrize("bits", [8, 4])
@given(size=SIZES.filter(bool), seed=st.integers(0, 99), scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e30]))
def test_a_rounded_value_is_off_by_less_than_a_step_of_its_block(bits: int, size: int, seed: int, scale: float) -> None:
    values = drawn(size, seed) * np.float32(scale)
    off = np.abs(there_and_back(Blocks(bits), values, flat(size), stream(seed)) - values)
    for start in range(0, size, BLOCK):
        block = slice(start, start + BLOCK)
        step = np.abs(values[block]).max() / (2 ** (bits - 1) - 1)
        assert off[block].max() <= step * (1 + 1e-5)


@pytest.mark.parametrize("codec", [Blocks(8), Blocks(4)], ids=["int8", "int4"])
def test_rounding_is_right_on_average(codec: Codec) -> None:
    spec, values, own = flat(601), drawn(601), stream()
    back = np.array([there_and_back(codec, values, spec, own) for _ in range(2000)], np.float64)
    error = (back.mean(axis=0) - values) / np.maximum(back.std(axis=0), 1e-6) * math.sqrt(len(back))
    # 601 means of 2,000 draws: none of them six deviations away, and their squares are of mean 1
    assert np.abs(error).max() < 6
    assert float((error**2).mean()) < 1.3


def test_drawn_values_are_exact_and_every_place_is_drawn_as_often() -> None:
    values, own = drawn(1000), stream()
    back = np.array([there_and_back(RandomK(0.25), values, flat(1000), own) for _ in range(2000)])
    assert ((back == values) | (back == 0)).all()
    hits = np.count_nonzero(back, axis=0)
    assert hits.sum() == 2000 * 250
    # binomial, p = 1/4: none of a thousand is five deviations away
    assert np.abs(hits - 500).max() < 5 * math.sqrt(2000 * 0.25 * 0.75)


def test_a_block_too_small_for_its_scale_counts_as_zeros() -> None:
    assert not there_and_back(Blocks(8), np.full(300, 1e-45, np.float32), flat(300), stream()).any()


@given(size=st.integers(1, 5000), share=st.floats(0.001, 1), seed=st.integers(0, 99))
def test_the_largest_values_are_those_that_sorting_finds(size: int, share: float, seed: int) -> None:
    values, count = drawn(size, seed), kept(size, share)
    places = largest(values, count)
    assert len(set(places.tolist())) == count
    assert (np.diff(places) > 0).all()
    np.testing.assert_array_equal(np.sort(np.abs(values[places])), np.sort(np.abs(values))[size - count :])


def test_the_largest_values_are_found_where_a_sample_misleads() -> None:
    values = np.zeros(1 << 17, np.float32)
    values[:: (1 << 17) // (1 << 14)] = 1
    values[1:50:3] = 2
    places = largest(values, 17)
    assert (values[places] == 2).sum() == len(range(1, 50, 3)) == places.size


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 1.0])
@given(seed=st.integers(0, 20))
def test_top_k_keeps_its_values_exactly_and_contracts(share: float, seed: int) -> None:
    values = drawn(3000, seed)
    back = there_and_back(TopK(share), values, flat(3000), stream())
    count = kept(3000, share)
    assert np.count_nonzero(back) == count
    assert (back[back != 0] == values[back != 0]).all()
    left = float(((values - back).astype(np.float64) ** 2).sum() / (values.astype(np.float64) ** 2).sum())
    assert left <= 1 - count / 3000 + 1e-12


def test_top_k_writes_positions_in_fewer_bytes_than_a_bit_a_value_where_they_are_few() -> None:
    spec = flat(100_000)
    payload = memoryview(TopK(0.01).encode(drawn(100_000), spec, stream())).cast("B")
    assert payload.nbytes == 1 + 1000 * (2 + 4) < TopK(0.01).sizes(spec)[-1]


def test_gaps_too_wide_for_two_bytes_are_written_as_bits() -> None:
    values = np.zeros(200_000, np.float32)
    values[[0, 199_999]] = 1
    np.testing.assert_array_equal(there_and_back(TopK(1e-5), values, flat(200_000), stream()), values)


@pytest.mark.parametrize("rank", [1, 3])
def test_a_matrix_of_low_rank_is_found_in_a_few_messages(rank: int) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((40, rank)), rng.standard_normal((rank, 25))
    spec = AdapterSpec((Segment("a", (40, 25)), Segment("b", (7,)), Segment("c", (2, 2))))
    values = np.concatenate([(left @ right).ravel(), rng.standard_normal(11)]).astype(np.float32)
    back = there_and_back(LowRank(rank), values, spec, stream())
    np.testing.assert_allclose(back, values, atol=2e-5)


def test_power_steps_that_begin_where_the_last_ended_reach_the_best_approximation() -> None:
    rng, own = np.random.default_rng(0), stream()
    matrix = (rng.standard_normal((30, 30)) * 0.5 ** np.arange(30)).astype(np.float32)
    spec = AdapterSpec((Segment("a", (30, 30)),))
    errors = [np.linalg.norm(there_and_back(LowRank(3), matrix.ravel(), spec, own) - matrix.ravel()) for _ in range(20)]
    singular = np.linalg.svd(matrix, compute_uv=False)
    best = math.sqrt(float((singular[3:] ** 2).sum()))
    assert errors[-1] == pytest.approx(best, rel=1e-3)
    assert errors[0] > errors[-1]


def test_a_frame_that_would_unpack_to_more_is_not_unpacked() -> None:
    import zstandard  # noqa: PLC0415

    bomb = memoryview(zstandard.ZstdCompressor().compress(b"\0" * 10_000_000))
    assert bomb.nbytes < Squeezed(Plain()).sizes(flat(1000))[-1]
    with pytest.raises(ValueError, match="10000000 bytes in a frame, at most 4000 were expected"):
        Squeezed(Plain()).decode(bomb, flat(1000))


@pytest.mark.parametrize("bits", [8, 4])
def test_a_smallest_value_times_its_own_inverse_is_never_a_step_below_itself(bits: int) -> None:
    largest_code = np.float32(2 ** (bits - 1) - 1)
    sizes = np.linspace(1, 2, 10_000, dtype=np.float32)
    size = sizes[sizes * (largest_code / sizes) > largest_code][0]
    # one in 65,536 draws is 0: of a million some are
    values = np.full(1 << 20, -size)
    back = there_and_back(Blocks(bits), values, flat(values.size), stream())
    assert back.min() >= -size * np.float32(1 + 1e-6)


def test_the_largest_values_are_found_where_fewer_than_the_sample_promised_are_large() -> None:
    values = np.zeros(1 << 17, np.float32)
    values[::8] = 1
    places = largest(values, 20_000)
    assert (values[places] == 1).sum() == 1 << 14
    assert np.unique(places).size == 20_000


def test_positions_behind_the_last_value_are_refused() -> None:
    spec, count = flat(100_000), kept(100_000, 0.01)
    payload = bytes([1]) + b"\xff\xff" * count + bytes(4 * count)
    with pytest.raises(ValueError, match="1000 positions below 100000 were expected"):
        TopK(0.01).decode(memoryview(payload), spec)


@pytest.mark.parametrize("codec", [Blocks(8), RandomK(0.1), LowRank(2)], ids=lambda codec: codec.name)
def test_a_stream_goes_on_after_a_checkpoint_as_without_one(codec: Codec) -> None:
    spec, own = AdapterSpec((Segment("a", (40, 25)),)), stream()
    there_and_back(codec, drawn(1000), spec, own)
    copy = pickle.loads(pickle.dumps(own))  # noqa: S301  # our own, of a moment ago
    assert bytes(codec.encode(drawn(1000, 1), spec, copy)) == bytes(codec.encode(drawn(1000, 1), spec, own))
