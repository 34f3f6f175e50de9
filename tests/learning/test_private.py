"""`adapter.private`: which tensors it names, and that nobody else need know them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.learning.test_learner import PLAIN, PRIVATE, UPDATE, opened, trained, with_fields

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ModelError
from gossipfl.learning.adapters import Adapted

Attach = Callable[..., Adapted]


def names(adapted: Adapted, *, shared: bool) -> list[str]:
    return [segment.name for segment in adapted.spec.segments if segment.shared is shared]


@pytest.mark.parametrize(
    ("patterns", "private"),
    [
        (("classifier.*",), ["classifier.weight", "classifier.bias"]),
        (("classifier.bias",), ["classifier.bias"]),
        (("*.layer.1.*query*", "*.bias"), ["bert.encoder.layer.1.attention.self.query.core_R", "classifier.bias"]),
    ],
)
def test_a_pattern_names_whole_tensors(patterns: tuple[str, ...], private: list[str], adapted_of: Attach) -> None:
    adapted, plain = adapted_of("bert", kind="core", private=patterns), adapted_of("bert", kind="core")
    assert names(adapted, shared=False) == private
    assert sorted(names(adapted, shared=True) + private) == sorted(names(plain, shared=True))
    for name in private:
        assert np.array_equal(adapted.initial.segment(name), plain.initial.segment(name))
    assert adapted.read() == adapted.initial


def test_one_that_matches_nothing_is_an_error_that_lists_the_names(adapted_of: Attach) -> None:
    with pytest.raises(
        ModelError, match=r"adapter\.private: 'clasifier\.\*' matches no trained tensor; there are"
    ) as no:
        adapted_of("bert", kind="core", private=("classifier.*", "clasifier.*"))
    assert "classifier.weight" in str(no.value)
    assert "\n" not in str(no.value)


def test_all_private_is_an_error(adapted_of: Attach) -> None:
    with pytest.raises(ModelError, match="nothing is left to be averaged"):
        adapted_of("bert", kind="core", private=("*",))


@pytest.mark.parametrize("merge", ["svd", "exact", "stack"])
def test_half_a_product_cannot_stay_where_products_are_averaged(merge: str, adapted_of: Attach) -> None:
    said = rf"query\.lora_A would stay and .*query\.lora_B leave, but adapter\.merge {merge} averages their product"
    with pytest.raises(ModelError, match=said) as no:
        adapted_of("bert", kind="lora", merge=merge, private=("*.layer.1.*.lora_A",))
    assert "\n" not in str(no.value)
    # each by itself is averaged as it is
    assert names(adapted_of("bert", kind="lora", private=("*.lora_B",)), shared=False)


@pytest.mark.parametrize("merge", ["exact", "stack"])
def test_nothing_is_folded_nor_sent_of_a_layer_that_stays(merge: str, adapted_of: Attach) -> None:
    adapted = adapted_of("bert", kind="lora", merge=merge, private=("*.layer.0.*",))
    assert adapted.parts.folds
    assert not any(".layer.0." in name for name in [*names(adapted, shared=True), *adapted.parts.folds])


def test_the_handshake_tells_what_is_shared_from_what_is_not(adapted_of: Attach) -> None:
    found = [adapted_of("bert", kind="core", private=private).components() for private in ((), ("classifier.*",))]
    assert found[0]["adapter"] != found[1]["adapter"]
    assert found[1] == adapted_of("bert", kind="core", private=("classifier.w*", "classifier.b*")).components()


@pytest.mark.parametrize("privacy", [PLAIN, PRIVATE, UPDATE], ids=["none", "example", "update"])
def test_private_tensors_are_trained_like_the_others(
    privacy: dict[str, object], experiment_of: Callable[..., Experiment], tmp_path: Path
) -> None:
    # in another place of the vector, and noise goes by place: so without it
    found = {}
    for private in ((), ("classifier.*", "*.layer.0.*")):
        experiment = with_fields(
            experiment_of("bert", kind="core", private=private),
            training={"batch_size": 12, "learning_rate": 0.02, "device": "cpu", "threads": 1},
            privacy=privacy,
        )
        with opened(experiment, tmp_path, run=f"r{len(private)}") as bench:
            start, state = bench.adapted.initial, trained(bench, phases=2, steps=3)
        moved = {
            segment.name: state.segment(segment.name) - start.segment(segment.name) for segment in state.spec.segments
        }
        found[private] = moved
        assert all(np.abs(step).max() > 1e-4 for step in moved.values())
    if privacy is PLAIN:
        one, other = found.values()
        for name, step in one.items():
            np.testing.assert_allclose(other[name], step, rtol=1e-4, atol=1e-6)
