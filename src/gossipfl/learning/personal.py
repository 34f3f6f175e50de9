"""A model of the node's own, made behind the last exchange and never published.

    mixed ── personal.phases on own data, fresh moments, constant rate ──> tuned
    personal(w) = w · tuned + (1 − w) · mixed          w: of least loss on the node's own held-out part

What is said of personal(w) on the held-out part is cross-fitted: each half is judged at the weight that the other half
chose, so that no record judges a choice in which it had a part. Neither weight nor figures leave the node.

Source: fine-tuning and model interpolation as in Mansour et al. (2020), APFL of Deng et al. (2020), whose weight is
learned by gradient; here it is found by line search, as Wortsman et al. (2022) go between a model and its fine-tuning.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.experiment import Experiment
from gossipfl.core.messages import Receipt
from gossipfl.errors import DataError, DivergedError
from gossipfl.learning.data import Examples
from gossipfl.learning.evaluation import Evaluation, evaluation_of
from gossipfl.learning.learner import Learner, LearnerParts
from gossipfl.learning.tasks import Scores, Task
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.mechanisms import MechanismParts, build_mechanism
from gossipfl.state import AdapterState

if TYPE_CHECKING:
    # it imports this module
    from gossipfl.learning.bench import Bench


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """A node's own model on its way; all that a process needs to go on with it.

    Attributes:
        mixed: where it began: the node's state after its last exchange.
        state: where it is.
        phases, steps: done, the last phase perhaps in part.
        receipt: covers `state`; its ε is infinite where nothing is noised.
        exhausted: the account pays for no further phase.
        moments: of the optimizer, and what the mechanism follows.
    """

    mixed: AdapterState
    state: AdapterState
    phases: int = 0
    steps: int = 0
    receipt: Receipt = field(default_factory=Receipt)
    exhausted: bool = False
    moments: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """How good one model is.

    Attributes:
        own: on the node's held-out part; None without one.
        test: on the common test set; None without one.
    """

    own: Evaluation | None
    test: Evaluation | None

    def as_json(self) -> dict[str, float]:
        """`own_loss`, `test_accuracy` and so on, as far as they are known."""
        parts = (("own", self.own), ("test", self.test))
        known = ((f"{part}_{name}", value) for part, found in parts if found for name, value in found.figures().items())
        return {name: float(value) for name, value in known if value is not None and not name.endswith("_examples")}


@dataclass(frozen=True, slots=True)
class Personalized:
    """What came of a node's own model. Of the node alone: held-out data decides all of it.

    Attributes:
        weight: w, chosen on all of the held-out part; 1 without interpolation.
        models: figures by model: global (as it was mixed), tuned, personal, and alone where that was trained.
    """

    weight: float
    models: Mapping[str, Figures]

    def as_json(self) -> dict[str, Any]:
        """Weight, figures, and by how much the personal model is better on the node's held-out part."""
        return with_gains({"weight": self.weight, **{name: found.as_json() for name, found in self.models.items()}})


def with_gains(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures by model, and by how much `personal` is better than global and alone on the node's held-out part.

    In accuracy; where there is none, by how much the loss is lower.
    """
    gains: dict[str, float] = {}
    for name in ("global", "alone"):
        own, other = figures.get("personal", {}), figures.get(name, {})
        if "own_accuracy" in own and "own_accuracy" in other:
            gains[f"against_{name}"] = own["own_accuracy"] - other["own_accuracy"]
        elif "own_loss" in own and "own_loss" in other:
            gains[f"against_{name}"] = other["own_loss"] - own["own_loss"]
    return {**figures, **gains}


def tuner_of(parts: LearnerParts, mechanism: MechanismParts, held_out: Examples) -> Learner | None:
    """Who trains a node's own model: the node's learner with fresh moments, at a constant rate; None without phases.

    Its steps are noised and charged by the same mechanism and account, unless the model is to stay.

    Args:
        parts: of the node's learner.
        mechanism: what its mechanism was made from.

    Raises:
        DataError: a weight cannot be chosen and judged on fewer than two held-out units.
    """
    experiment = parts.adapted.experiment
    personal = experiment.personal
    if not personal.phases:
        return None
    if personal.interpolate and held_out.units < 2:
        raise DataError(
            f"personal.interpolate: the node holds out {held_out.units} units, two or more were expected: one half "
            "chooses the weight by which the other is judged; raise data.held_out"
        )
    parts = replace(parts, adapted=replace(parts.adapted, experiment=_tuning(experiment)))
    if not personal.stays:
        return Learner(parts)
    account = FreeAccount()
    plain = build_mechanism("none", replace(mechanism, plan=None, account=account, source=None, pairs=None))
    return Learner(replace(parts, mechanism=plain, account=account))


def _tuning(experiment: Experiment) -> Experiment:
    rate = experiment.personal.learning_rate or experiment.training.learning_rate
    changes = {"phases": experiment.personal.phases, "learning_rate": rate, "schedule": "constant", "warmup_steps": 0}
    return experiment.model_copy(update={"training": experiment.training.model_copy(update=changes)})


class Personal:
    """Makes one node's own model, a phase at a time; remembers nothing between calls.

    Args:
        bench: of an experiment with personal phases.
    """

    def __init__(self, bench: "Bench") -> None:
        if bench.tuner is None:
            raise ValueError("personal.phases is 0: there is no personal model")
        self._bench, self._tuner = bench, bench.tuner
        self._experiment = bench.adapted.experiment

    def begin(self, mixed: AdapterState, receipt: Receipt) -> Tuned:
        """Before the first phase.

        Args:
            receipt: covers the mixed state.
        """
        return Tuned(mixed, mixed, receipt=receipt)

    def is_over(self, tuned: Tuned) -> bool:
        """Whether no phase is left, or can be paid for."""
        return tuned.exhausted or tuned.phases >= self._experiment.personal.phases

    def advance(self, tuned: Tuned) -> Tuned:
        """One phase more.

        Raises:
            DivergedError: the values are no longer finite.
            LedgerError: it could not be charged.
        """
        training = self._experiment.training
        self._tuner.restore(tuned.moments)
        try:
            done = self._tuner.train(
                tuned.state,
                first_step=training.total_steps + tuned.steps,
                steps=training.local_steps,
                phase=training.phases + tuned.phases,
            )
        except DivergedError as error:
            raise DivergedError(f"personal phase {tuned.phases + 1}: {error}") from error
        return Tuned(
            tuned.mixed,
            done.state,
            # one that nothing could be paid of was none
            tuned.phases + bool(done.steps),
            tuned.steps + done.steps,
            done.receipt,
            done.exhausted,
            self._tuner.durable(),
        )

    def stop(self) -> None:
        """Ends a phase under way after its current step; what comes of it is not to be gone on with."""
        self._tuner.stop()

    def settle(self, tuned: Tuned) -> Personalized:
        """Chooses the weight, and judges."""
        models = {"global": self.figures(tuned.mixed), "tuned": self.figures(tuned.state)}
        if not self._experiment.personal.interpolate:
            return Personalized(1.0, {**models, "personal": models["tuned"]})
        wished = weights(self._experiment.personal.weights)
        scores = [self._halves(between(tuned.mixed, tuned.state, weight)) for weight in wished]
        place, own = cross_fitted(scores, self._tuner.task)
        test = self._test(between(tuned.mixed, tuned.state, wished[place]))
        return Personalized(wished[place], {**models, "personal": Figures(own, test)})

    def figures(self, state: AdapterState) -> Figures:
        """How good a state is that held-out data had no part in."""
        held_out = self._bench.data.held_out
        return Figures(self._tuner.evaluate(state, held_out) if held_out.units else None, self._test(state))

    def _test(self, state: AdapterState) -> Evaluation | None:
        test = self._bench.data.test
        return None if test is None else self._tuner.evaluate(state, test)

    def _halves(self, state: AdapterState) -> "Halves":
        """Scores on every other unit, and on those between."""
        held_out = self._bench.data.held_out
        even, odd = (held_out.only(np.arange(first, held_out.units, 2)) for first in (0, 1))
        return self._tuner.score(state, even), self._tuner.score(state, odd)


Halves = tuple[list[Scores], list[Scores]]
"""Of one model on the two halves of a held-out part."""


def weights(count: int) -> tuple[float, ...]:
    """So many from 0 to 1, both exactly."""
    return tuple(place / (count - 1) for place in range(count))


def between(mixed: AdapterState, own: AdapterState, weight: float) -> AdapterState:
    """The line between two states, value by value: w · own + (1 − w) · mixed.

    Guarantees:
        At 0 `mixed` and at 1 `own`, bit for bit; two that are equal are so everywhere.
    """
    if weight in {0.0, 1.0}:
        return own if weight else mixed
    return mixed.toward([(weight, own)])


def cross_fitted(scores: Sequence[Halves], task: Task) -> tuple[int, Evaluation]:
    """Which of some models to take, and how good what is taken so is.

    Args:
        scores: of each model, the one that is taken among equals first.

    Guarantees:
        Of the models the one taken has the least loss on both halves together; a half is judged at the model that has
        the least loss on the other one.
    """
    best = least([_loss([*even, *odd], task) for even, odd in scores])
    by_even, by_odd = (least([_loss(halves[half], task) for halves in scores]) for half in (0, 1))
    return best, evaluation_of(task, [*scores[by_odd][0], *scores[by_even][1]])


def least(losses: Sequence[float]) -> int:
    """Place of the least, the first of equal ones; what is not finite is larger than everything."""
    known = [loss if math.isfinite(loss) else math.inf for loss in losses]
    return known.index(min(known))


def _loss(scores: Sequence[Scores], task: Task) -> float:
    return evaluation_of(task, scores).loss


def make_personal(bench: "Bench", mixed: AdapterState, show: Callable[[Tuned], None] = lambda _: None) -> Personalized:
    """All of a node's own model at once.

    Args:
        show: told after each phase.

    Raises:
        DivergedError, LedgerError: see `Personal.advance`.
    """
    personal = Personal(bench)
    tuned = personal.begin(mixed, bench.account.receipt())
    while not personal.is_over(tuned):
        tuned = personal.advance(tuned)
        show(tuned)
    return personal.settle(tuned)
