"""Products are averaged as well as a rank allows, in factors that stay where they may."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossipfl.core.factors import pairs_of
from gossipfl.core.mixing.products import Products, Terms, leading, nearest_factors
from gossipfl.state import AdapterSpec, AdapterState, Segment

Matrix = NDArray[np.float64]
SIDES = st.tuples(st.integers(1, 24), st.integers(1, 24)).filter(lambda sides: sides[0] != sides[1])
SEEDS = st.integers(0, 2**20)
HEAD = "classifier.weight"


def constant(_rank: int) -> float:
    return 2.0


def by_rank(rank: int) -> float:
    return 8.0 / rank


def layout(sides: Sequence[tuple[int, int]], rank: int) -> AdapterSpec:
    segments = []
    for number, (out, into) in enumerate(sides):
        segments += [Segment(f"{number}.lora_A", (rank, into)), Segment(f"{number}.lora_B", (out, rank))]
    return AdapterSpec((*segments, Segment(HEAD, (3, 2))))


def drawn(spec: AdapterSpec, seed: int) -> AdapterState:
    return AdapterState(spec, np.random.default_rng(seed).standard_normal(spec.size).astype(np.float32))


def update(state: AdapterState, layer: str, scale: float = 2.0) -> Matrix:
    found: Matrix = scale * state.segment(f"{layer}.lora_B").astype(np.float64) @ state.segment(f"{layer}.lora_A")
    return found


def best(matrix: Matrix, rank: int) -> Matrix:
    """The nearest matrix of a rank, written out."""
    U, sigma, Vt = np.linalg.svd(matrix, full_matrices=False)
    found: Matrix = (U[:, :rank] * sigma[:rank]) @ Vt[:rank]
    return found


@given(sides=st.lists(SIDES, min_size=1, max_size=2), rank=st.integers(1, 5), others=st.integers(1, 4), seed=SEEDS)
@settings(deadline=None)
def test_the_new_product_is_the_nearest_of_the_rank_to_the_mean_of_products(
    sides: list[tuple[int, int]], rank: int, others: int, seed: int
) -> None:
    spec = layout(sides, rank)
    states = [drawn(spec, seed + number) for number in range(others + 1)]
    weights = np.random.default_rng(seed).dirichlet(np.ones(others + 1))
    terms = {str(number): (float(weights[number]), states[number]) for number in range(1, others + 1)}
    mixed = Products(constant).mix(states[0], float(weights[0]), terms)
    for number, (out, into) in enumerate(sides):
        layer = str(number)
        wished = sum(weight * update(state, layer) for weight, state in zip(weights, states, strict=True))
        assert wished.shape == (out, into) == update(mixed, layer).shape
        nearest = best(wished, rank)
        np.testing.assert_allclose(update(mixed, layer), nearest, atol=1e-5 * max(1.0, np.abs(wished).max()))
    expected = sum(weight * state.segment(HEAD) for weight, state in zip(weights, states, strict=True))
    np.testing.assert_allclose(mixed.segment(HEAD), expected, atol=1e-6)


@given(sides=SIDES, ranks=st.lists(st.integers(1, 6), min_size=2, max_size=4), seed=SEEDS)
@settings(deadline=None)
def test_ranks_and_scales_may_differ(sides: tuple[int, int], ranks: list[int], seed: int) -> None:
    states = [drawn(layout([sides], rank), seed + number) for number, rank in enumerate(ranks)]
    weight = 1 / len(ranks)
    mixed = Products(by_rank).mix(states[0], weight, {str(n): (weight, one) for n, one in enumerate(states[1:])})
    assert mixed.spec == states[0].spec
    updates = [update(one, "0", by_rank(rank)) for one, rank in zip(states, ranks, strict=True)]
    wished: Matrix = np.mean(updates, axis=0)
    found = update(mixed, "0", by_rank(ranks[0]))
    np.testing.assert_allclose(found, best(wished, ranks[0]), atol=1e-5 * max(1.0, np.abs(wished).max()))
    np.testing.assert_allclose(mixed.segment(HEAD), np.mean([one.segment(HEAD) for one in states], axis=0), atol=1e-6)


@given(sides=SIDES, rank=st.integers(1, 4), seed=SEEDS)
@settings(deadline=None)
def test_nodes_that_agree_on_the_products_do_not_move(sides: tuple[int, int], rank: int, seed: int) -> None:
    spec = layout([sides], min(rank, *sides))
    own = drawn(spec, seed)
    mixed = Products(constant).mix(own, 0.5, {"same": (0.25, own), "again": (0.25, own)})
    (pair,) = pairs_of(spec)
    lengths = np.linalg.svd(pair.right(own.vector), compute_uv=False)
    # whose B is all but zero in some direction keeps its product, and its factors where they are not degenerate
    np.testing.assert_allclose(update(mixed, "0"), update(own, "0"), atol=1e-5 * max(1, np.abs(update(own, "0")).max()))
    strengths = np.linalg.svd(update(own, "0"), compute_uv=False)[: pair.rank]
    if lengths[-1] > 0.55 * lengths[0] and strengths[-1] > 0.05 * strengths[0]:
        np.testing.assert_allclose(mixed.vector, own.vector, atol=1e-3)


def test_at_the_start_where_b_is_zero_nothing_moves() -> None:
    spec = layout([(5, 7), (9, 4)], 3)
    state = drawn(spec, 3)
    vector = state.vector.copy()
    for name in ("0.lora_B", "1.lora_B"):
        vector[spec.slices[name]] = 0
    start = AdapterState(spec, vector)
    mixed = Products(constant).mix(start, 0.5, {"b": (0.5, start)})
    np.testing.assert_allclose(mixed.vector, start.vector, atol=1e-6)


def test_a_node_at_zero_takes_over_what_others_have_learned() -> None:
    # its A has no part in it: what there is comes with A's of others
    spec = layout([(30, 20)], 4)
    own, other = drawn(spec, 1), drawn(spec, 2)
    vector = own.vector.copy()
    vector[spec.slices["0.lora_B"]] = 0
    mixed = Products(constant).mix(AdapterState(spec, vector), 0.5, {"b": (0.5, other)})
    np.testing.assert_allclose(update(mixed, "0"), 0.5 * update(other, "0"), atol=1e-5)


@given(sides=SIDES, ranks=st.lists(st.integers(1, 5), min_size=1, max_size=4), rank=st.integers(1, 6), seed=SEEDS)
@settings(deadline=None)
def test_small_matrices_suffice_for_the_leading_ones(
    sides: tuple[int, int], ranks: list[int], rank: int, seed: int
) -> None:
    rng, (out, into) = np.random.default_rng(seed), sides
    terms = Terms(
        [rng.standard_normal((out, one)) for one in ranks], [rng.standard_normal((one, into)) for one in ranks]
    )
    U, sigma, Vt = leading(terms, rank)
    written = sum(left @ right for left, right in zip(terms.lefts, terms.rights, strict=True))
    np.testing.assert_allclose((U * sigma) @ Vt, best(np.asarray(written), rank), atol=1e-9)
    np.testing.assert_allclose(U.T @ U, np.eye(len(sigma)), atol=1e-9)
    np.testing.assert_allclose(Vt @ Vt.T, np.eye(len(sigma)), atol=1e-9)


@given(sides=SIDES, seed=SEEDS)
@settings(deadline=None)
def test_factors_multiply_to_the_leading_part_however_badly_the_anchor_fits(sides: tuple[int, int], seed: int) -> None:
    rng, (out, into) = np.random.default_rng(seed), sides
    rank = min(3, out, into)
    terms = Terms([rng.standard_normal((out, rank))], [rng.standard_normal((rank, into))])
    for anchor in (rng.standard_normal((rank, into)), np.zeros((rank, into)), np.ones((rank, into))):
        B, A = nearest_factors(terms, anchor)
        assert (B.shape, A.shape) == ((out, rank), (rank, into))
        np.testing.assert_allclose(B @ A, terms.lefts[0] @ terms.rights[0], atol=1e-8)


def test_rounds_on_a_ring_bring_products_together() -> None:
    spec = layout([(12, 9)], 3)
    states = [drawn(spec, number) for number in range(6)]
    products = Products(constant)

    def spread() -> float:
        found = np.stack([update(state, "0") for state in states])
        return float(np.linalg.norm(found - found.mean(axis=0)) / np.linalg.norm(found))

    before = spread()
    for _ in range(60):
        states = [
            products.mix(own, 1 / 3, {"left": (1 / 3, states[place - 1]), "right": (1 / 3, states[(place + 1) % 6])})
            for place, own in enumerate(states)
        ]
    assert spread() < 1e-3 * before
    # in the same factors too, up to what each began with: nothing has grown
    assert max(float(np.abs(state.vector).max()) for state in states) < 20


def turned(state: AdapterState, turn: Matrix) -> AdapterState:
    """The same products in other factors: A turned, B turned back."""
    vector = state.vector.copy()
    for pair in pairs_of(state.spec):
        vector[pair.A_place] = (turn @ pair.right(state.vector)).reshape(-1)
        vector[pair.B_place] = (pair.left(state.vector) @ turn.T).reshape(-1)
    return AdapterState(state.spec, vector)


# fixed seeds: where the cut falls between equal strengths there is no one nearest product
@pytest.mark.parametrize("seed", range(6))
def test_the_factors_in_which_others_hold_their_products_do_not_matter(seed: int) -> None:
    # every node's decomposition has signs and an order of its own
    spec, rng = layout([(11, 6), (5, 9)], 3), np.random.default_rng(seed)
    own, other = drawn(spec, seed), drawn(spec, seed + 1)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    signs = np.diag(rng.choice([-1.0, 1.0], 3))[rng.permutation(3)]
    plain = Products(constant).mix(own, 0.6, {"b": (0.4, other)})
    for gauge in (turn, signs):
        mixed = Products(constant).mix(own, 0.6, {"b": (0.4, turned(other, gauge))})
        np.testing.assert_allclose(mixed.vector, plain.vector, atol=1e-4 * float(np.abs(plain.vector).max()))
        # and of the own ones the product does not, which keeps its own
        mine = Products(constant).mix(turned(own, gauge), 0.6, {"b": (0.4, other)})
        for layer in ("0", "1"):
            np.testing.assert_allclose(update(mine, layer), update(plain, layer), atol=1e-4)


def test_factors_stay_the_own_ones_and_become_nobody_elses() -> None:
    spec = layout([(11, 6)], 3)
    vector = drawn(spec, 1).vector.copy()
    (pair,) = pairs_of(spec)
    # directions of one length: the floor moves none
    vector[pair.A_place] = np.linalg.qr(pair.right(vector).T)[0].T.reshape(-1)
    own = AdapterState(spec, vector)
    turn, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))
    same = turned(own, turn)
    assert np.abs(same.vector - own.vector).max() > 0.3
    np.testing.assert_allclose(Products(constant).mix(own, 0.2, {"b": (0.8, same)}).vector, own.vector, atol=1e-5)


def test_weak_directions_are_kept_beside_strong_ones() -> None:
    spec = layout([(6, 4)], 2)
    vector = np.zeros(spec.size, np.float32)
    (pair,) = pairs_of(spec)
    vector[pair.A_place] = np.eye(2, 4).reshape(-1)
    vector[pair.B_place] = (np.eye(6, 2) * [1.0, 1e-5]).reshape(-1)
    own = AdapterState(spec, vector)
    mixed = Products(constant).mix(own, 0.5, {"b": (0.5, own)})
    np.testing.assert_allclose(update(mixed, "0"), update(own, "0"), atol=1e-9)


def test_equal_bits_for_equal_bits() -> None:
    spec = layout([(8, 5)], 2)
    own, other = drawn(spec, 1), drawn(spec, 2)
    first = Products(constant).mix(own, 0.5, {"b": (0.5, other)})
    assert first == Products(constant).mix(own, 0.5, {"b": (0.5, other)})
    assert own == drawn(spec, 1)
