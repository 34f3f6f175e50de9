"""What averaging a state does to the weights: exact for full, ffa and core; off by a known amount for lora."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossipfl.learning.adapters import Adapted
from gossipfl.learning.adapters.sites import find_sites
from gossipfl.state import AdapterState

Attach = Callable[..., Adapted]
Weights = dict[str, NDArray[np.float64]]


def random_states(adapted: Adapted, count: int, seed: int = 0) -> list[AdapterState]:
    rng = np.random.default_rng(seed)
    return [AdapterState(adapted.spec, rng.standard_normal(adapted.spec.size).astype(np.float32)) for _ in range(count)]


def mean(states: Sequence[AdapterState], weights: Sequence[float]) -> AdapterState:
    vectors = np.stack([state.vector.astype(np.float64) for state in states])
    return AdapterState(states[0].spec, (np.asarray(weights) @ vectors).astype(np.float32))


def updates(adapted: Adapted, state: AdapterState) -> Weights:
    """ΔW of every layer, (out, in), by the factors."""
    assert adapted.parts.factors is not None
    return {
        layer.layer: adapted.parts.scale * layer.B.astype(np.float64) @ layer.A.astype(np.float64)
        for layer in adapted.parts.factors(state)
    }


@pytest.mark.parametrize("kind", ["ffa", "core"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_average_of_states_is_the_average_of_updates(kind: str, name: str, adapted_of: Attach) -> None:
    adapted = adapted_of(name, kind=kind)
    states, weights = random_states(adapted, 3), (0.5, 0.3, 0.2)
    averaged = updates(adapted, mean(states, weights))
    for layer, update in averaged.items():
        expected = sum(w * updates(adapted, state)[layer] for w, state in zip(weights, states, strict=True))
        np.testing.assert_allclose(update, expected, atol=1e-6)


def test_the_average_of_full_states_is_the_average_of_weights(adapted_of: Attach) -> None:
    adapted = adapted_of("llama", kind="full")
    states = random_states(adapted, 2)
    adapted.write(mean(states, (0.25, 0.75)))
    for name, parameter in adapted.module.named_parameters():
        expected = 0.25 * states[0].segment(name) + 0.75 * states[1].segment(name)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_average_of_lora_states_is_off_by_the_covariance_of_the_factors(name: str, adapted_of: Attach) -> None:
    adapted = adapted_of(name, kind="lora")
    states, weights = random_states(adapted, 3), (0.5, 0.3, 0.2)
    center = mean(states, weights)
    for layer, update in updates(adapted, center).items():
        wished = sum(w * updates(adapted, state)[layer] for w, state in zip(weights, states, strict=True))
        # Σ w_i (B_i − B̄)(A_i − Ā)
        error = sum(
            w
            * (state.segment(f"{layer}.lora_B") - center.segment(f"{layer}.lora_B")).astype(np.float64)
            @ (state.segment(f"{layer}.lora_A") - center.segment(f"{layer}.lora_A")).astype(np.float64)
            for w, state in zip(weights, states, strict=True)
        )
        np.testing.assert_allclose(wished - update, adapted.parts.scale * error, atol=1e-4)
        assert np.abs(wished - update).max() > 0.1


# k_proj of the tiny Llama: out 16, in 64; c_attn of the tiny GPT-2: out 192, in 64, stored (in, out)
@pytest.mark.parametrize("kind", ["lora", "ffa", "core"])
@pytest.mark.parametrize(("name", "target", "shape"), [("llama", "k_proj", (16, 64)), ("gpt2", "c_attn", (192, 64))])
@given(seed=st.integers(0, 2**16))
@settings(max_examples=3, deadline=None)
def test_a_layers_output_moves_by_the_update_times_the_input(
    kind: str, name: str, target: str, shape: tuple[int, int], adapted_of: Attach, seed: int
) -> None:
    adapted = adapted_of(name, kind=kind, targets=(target,))
    (state,) = random_states(adapted, 1, seed)
    x = np.random.default_rng(seed).standard_normal((2, shape[1])).astype(np.float32)
    before = outputs(adapted, target, x)
    adapted.write(state)
    after = outputs(adapted, target, x)
    for layer, update in updates(adapted, state).items():
        assert update.shape == shape
        start = updates(adapted, adapted.initial)[layer]
        np.testing.assert_allclose(after[layer] - before[layer], x @ (update - start).T, rtol=1e-4, atol=1e-4)


def outputs(adapted: Adapted, target: str, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    with torch.no_grad():
        return {
            name: module(torch.from_numpy(x)).numpy()
            for name, module in adapted.module.named_modules()
            if name.endswith(f".{target}")
        }


def test_core_puts_the_squared_noise_of_its_entries_on_the_weight(adapted_of: Attach) -> None:
    # orthonormal factors: ‖U R Vᵀ‖² = ‖R‖², so that noise σ on R puts σ²·r² on ΔW
    adapted = adapted_of("llama", kind="core", targets=("k_proj",))
    (state,) = random_states(adapted, 1)
    for layer, update in updates(adapted, state).items():
        R = state.segment(f"{layer}.core_R")
        assert np.linalg.norm(update) == pytest.approx(np.linalg.norm(R.astype(np.float64)), rel=1e-5)


def test_sites_show_weights_as_out_by_in(adapted_of: Attach) -> None:
    adapted = adapted_of("gpt2", kind="full")
    config = adapted.experiment.adapter
    for site in find_sites(adapted.base, config):
        assert site.transposed
        assert site.shape == (192, 64)
        np.testing.assert_array_equal(site.matrix().T, site.layer.get_parameter("weight").detach().double().numpy())
