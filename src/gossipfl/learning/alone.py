"""The lower line of every comparison: the same learner and the same steps, no neighbor."""

from gossipfl.config.experiment import Experiment
from gossipfl.config.personal import PersonalConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.learning.bench import Bench
from gossipfl.state import AdapterState


def train_alone(bench: Bench, *, phases: int, local_steps: int) -> AdapterState:
    """The state after training without neighbors.

    Args:
        bench: learner and data of one node.
        phases, local_steps: as many as the nodes that gossip do.
    """
    state = bench.adapted.initial
    for phase in range(phases):
        training = bench.learner.train(state, first_step=phase * local_steps, steps=local_steps, phase=phase)
        state = training.state
        if training.exhausted:
            break
    return state


def lone_experiment(experiment: Experiment) -> Experiment:
    """What a node would run that had no neighbors: as many phases in all, and all its own.

    It publishes nothing: where the personal model is not noised because it stays, neither is this one.
    """
    personal, training = experiment.personal, experiment.training
    phases = training.phases + personal.phases
    changes = {"training": training.model_copy(update={"phases": phases}), "personal": PersonalConfig()}
    if personal.stays:
        changes |= {"privacy": PrivacyConfig(level="none", public_data=experiment.privacy.public_data)}
    return experiment.model_copy(update=changes)
