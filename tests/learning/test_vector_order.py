from collections.abc import Callable

import pytest

from gossipfl.learning.adapters import Adapted
from gossipfl.privacy.sources.seam import trainable

CASES = [("bert", "sequence-classification"), ("gpt2", "causal-lm"), ("llama", "causal-lm")]


@pytest.mark.parametrize("kind", ["lora", "ffa", "core", "full"])
@pytest.mark.parametrize(
    ("name", "task"), [("bert", "sequence-classification"), ("gpt2", "causal-lm"), ("llama", "causal-lm")]
)
def test_the_exchanged_vector_has_the_order_of_flat_gradients(
    adapted_of: Callable[..., Adapted], name: str, task: str, kind: str
) -> None:
    adapted = adapted_of(name, task=task, kind=kind)
    assert [id(parameter) for parameter in adapted.trained.values()] == [id(p) for p in trainable(adapted.module)]
