"""The local optimizer: sgd, adam or adamw of torch over the trained parameters, its rate a function of the step.

    rate(t) = peak · min(1, (t+1)/warmup) · decay((t−warmup)/(total−warmup))
    decay(x): constant 1 | linear 1−x | cosine (1+cos πx)/2

Nothing but the moments is remembered, so a run resumes bit for bit from them and the step's index.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from gossipfl.config.training import TrainingConfig
from gossipfl.errors import StateError

_DECAYS: Mapping[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}


def learning_rate(config: TrainingConfig, step: int) -> float:
    """The rate at one optimizer step of the whole run, counted from 0; never 0 within the run."""
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    span = max(1, config.total_steps - config.warmup_steps)
    done = min(1.0, max(0.0, (step - config.warmup_steps) / span))
    return config.learning_rate * warm * _DECAYS[config.schedule](done)


_MOMENTS: Mapping[str, frozenset[str]] = {
    "sgd": frozenset({"momentum_buffer"}),
    "adam": frozenset({"step", "exp_avg", "exp_avg_sq"}),
    "adamw": frozenset({"step", "exp_avg", "exp_avg_sq"}),
}


OTHERS = ("clipping/", "pairs/", "continual/")
"""Keys of what is kept beside the moments: by a mechanism, and by `continual.offset`."""


class LocalOptimizer:
    """Steps of the trained parameters, whose moments can be put on disk.

    The parameters may be overwritten between steps, by mixing: the moments stay those of the gradients seen here.

    Args:
        shared: the optimizer of many nodes, see `share_optimizer`; None makes one.
    """

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], config: TrainingConfig, shared: Optimizer | None = None
    ) -> None:
        self._parameters = dict(parameters)
        self._config = config
        self._optimizer = _make(list(self._parameters.values()), config) if shared is None else shared

    def step(self, index: int) -> None:
        """One step along the gradients in `.grad`, at the rate of the run's step `index`; clears them.

        A parameter without one rests: neither it nor its moments change.
        """
        step_together([(self, index)])

    def durable(self) -> dict[str, NDArray[np.float32]]:
        """Copies of the moments, by `MOMENT/PARAMETER`; none before the first step or where phases forget them."""
        if self._config.optimizer_state == "reset":
            return {}
        state = self._optimizer.state
        return {
            f"{moment}/{name}": value.detach().to("cpu", copy=True).numpy()
            for name, parameter in self._parameters.items()
            for moment, value in state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }

    def restore(self, moments: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes over what `durable` gave, in place of what there is.

        Raises:
            StateError: the moments belong to other parameters, or to another optimizer.
        """
        kinds = {key.partition("/")[0] for key in moments}
        if not kinds <= _MOMENTS[self._config.optimizer]:
            raise StateError(
                f"training.optimizer: the checkpoint's state {sorted(kinds)} is not that of "
                f"{self._config.optimizer!r}; put back the optimizer it was trained with, "
                "or move the state directory away to begin anew"
            )
        state: dict[Tensor, dict[str, Tensor]] = {}
        for key, value in moments.items():
            moment, _, name = key.partition("/")
            parameter = self._parameters.get(name)
            if parameter is None or (value.ndim and value.shape != tuple(parameter.shape)):
                raise StateError(f"optimizer state {key!r} of shape {value.shape} fits no trained parameter")
            # the count of steps stays on the CPU, where torch keeps it
            device = parameter.device if value.ndim else torch.device("cpu")
            state.setdefault(parameter, {})[moment] = torch.from_numpy(value.copy()).to(device)
        self.reset()
        self._optimizer.state.update(state)

    def reset(self) -> None:
        """Forgets the moments."""
        for parameter in self._parameters.values():
            self._optimizer.state.pop(parameter, None)

    def rate(self, index: int) -> float:
        """That of the run's step `index`."""
        return learning_rate(self._config, index)

    def ready(self) -> tuple[Optimizer, list[nn.Parameter]]:
        """What is to be stepped, its gradients clipped."""
        parameters = list(self._parameters.values())
        if self._config.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self._config.max_grad_norm)
        return self._optimizer, parameters


def optimizer_part(kept: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Of what a learner keeps, what is an optimizer's: the rest is of others, who know their own."""
    return {key: value for key, value in kept.items() if not key.startswith(OTHERS)}


def share_optimizer(
    vectors: Mapping[str, Mapping[str, nn.Parameter]], configs: Mapping[str, TrainingConfig]
) -> dict[str, LocalOptimizer]:
    """Optimizers of many nodes, of some vectors each, that step together in a few calls; moments are their own.

    Args:
        configs: by node; of one optimizer, whose rate alone may differ.
    """
    shared = _make([vector for own in vectors.values() for vector in own.values()], next(iter(configs.values())))
    return {node: LocalOptimizer(own, configs[node], shared) for node, own in vectors.items()}


def step_together(turns: Sequence[tuple[LocalOptimizer, int]]) -> None:
    """One step of each optimizer, at its own index, as `LocalOptimizer.step`; all of one `share_optimizer`."""
    by_rate: dict[tuple[int, float], list[nn.Parameter]] = {}
    for optimizer, index in turns:
        shared, parameters = optimizer.ready()
        by_rate.setdefault((index, optimizer.rate(index)), []).extend(parameters)
    for (_, rate), some in by_rate.items():
        (group,) = shared.param_groups
        group["lr"], group["params"] = rate, some
        shared.step()
        for parameter in some:
            parameter.grad = None


def _make(parameters: list[nn.Parameter], config: TrainingConfig) -> Optimizer:
    # one kernel for all parameters instead of one loop turn for each
    rate, decay, foreach = config.learning_rate, config.weight_decay, True
    match config.optimizer:
        case "sgd":
            return SGD(parameters, rate, config.momentum, weight_decay=decay, foreach=foreach)
        case "adam":
            return Adam(parameters, rate, weight_decay=decay, foreach=foreach)
        case "adamw":
            return AdamW(parameters, rate, weight_decay=decay, foreach=foreach)
