"""Adapters that make no sense are refused in one line that says why."""

import pytest

from gossipfl.config.loading import parse_experiment
from gossipfl.config.model import AdapterConfig
from gossipfl.errors import ConfigError

TEXT = "model: {source: some/model}\ntask: {kind: causal-lm}\nprivacy: {level: none}\n"
SVD = ("adapter.kind=lora", "adapter.merge=svd")
CORE = ("adapter.basis=b.safetensors", "adapter.mixed_ranks=true")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param(("adapter.merge=svd",), "adapter.merge: svd is for kind lora", id="merge of core"),
        pytest.param((*SVD, "gossip.codec=int8"), "svd goes with gossip.codec fp32: what int8 leaves", id="codec"),
        pytest.param((*SVD, "gossip.protocol=push_sum"), "push_sum adds up values: set sync or wait_free", id="sums"),
        pytest.param((*SVD, "gossip.mixing=a:b"), "svd goes with gossip.mixing weighted, not a:b", id="mixing"),
        pytest.param(
            ("adapter.kind=lora", "adapter.alternate_every=2"), "is for kind alternating, not lora", id="turns"
        ),
        pytest.param(("adapter.rank_stabilized=true",), "rank_stabilized: the scale .* needs alpha", id="no alpha"),
        pytest.param(
            ("adapter.kind=lora", "adapter.merge=exact", "model.dtype=bfloat16"), "float32 is wanted", id="rounded away"
        ),
        pytest.param((*SVD, "adapter.mixed_ranks=true", "gossip.codec=int8"), "gossip.codec fp32", id="ranks, codec"),
        pytest.param(
            (*CORE, "gossip.protocol=push_sum"),
            "mixed_ranks: gossip.protocol push_sum adds up values",
            id="ranks, sums",
        ),
        pytest.param((*CORE, "gossip.codec=int8"), "mixed_ranks goes with .* gossip.codec fp32", id="cores, codec"),
        pytest.param(
            ("adapter.mixed_ranks=true",), "mixed_ranks: core of several ranks cannot be averaged", id="no basis"
        ),
        pytest.param(
            ("adapter.private=['a.*']", "gossip.protocol=pairwise"), "pairwise keeps sums of whole states", id="private"
        ),
        pytest.param(("adapter.kind=alternating", "adapter.alternate_every=0"), "greater than 0", id="no turns"),
        pytest.param(
            ("adapter.kind=full", "adapter.alpha=2", "adapter.rank_stabilized=true"), "full has no rank", id="full"
        ),
    ],
)
def test_what_makes_no_sense_is_refused(settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        parse_experiment(TEXT, source="experiment.yaml", overrides=settings)
    assert "\n" not in str(refused.value)


def test_turns_are_not_for_models_that_begin_at_random() -> None:
    text = (
        "model: {source: 'builtin:logistic', inputs: 2}\ntask: {kind: vector-classification, labels: [a, b]}\n"
        "privacy: {level: none}\nadapter: {kind: alternating}\n"
    )
    with pytest.raises(ConfigError, match=r"adapter\.kind must be full"):
        parse_experiment(text, source="experiment.yaml")


def test_a_stabilized_scale_falls_with_the_root_of_the_rank() -> None:
    plain, stable = (AdapterConfig(kind="lora", alpha=16, rank_stabilized=root) for root in (False, True))
    assert (plain.scale(4), stable.scale(4)) == (4.0, 8.0)
    assert (plain.scale(16), stable.scale(16)) == (1.0, 4.0)
    assert (AdapterConfig(kind="lora").scale(3), AdapterConfig(kind="core").scale(3)) == (2.0, 1.0)
