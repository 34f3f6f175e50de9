"""Flower's ServerApp: its strategy mixes, and after each round the recorder looks."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord
from flwr.serverapp import Grid

from gossipfl.baseline.attendance import Attendance
from gossipfl.baseline.central import central_plan
from gossipfl.baseline.recorder import Outcome, ServerRecorder
from gossipfl.baseline.records import arrays_of, state_of
from gossipfl.baseline.strategies import build_strategy, clients_in_a_round
from gossipfl.baseline.watched import Round, Watched
from gossipfl.config.experiment import Experiment
from gossipfl.core.rng import derive_seed
from gossipfl.errors import DivergedError, MessageError, TrainingError
from gossipfl.state import AdapterState


@dataclass(frozen=True, slots=True)
class Server:
    """What runs at the server.

    Attributes:
        initial: where every client starts.
        recorder: looks.
        terms: what must agree with every client, see `terms_of`.
        at_least: a round waits for so many clients to be there; None: for all.
        named: names of clients by Flower's numbers, as far as they are known.
    """

    experiment: Experiment
    initial: AdapterState
    recorder: ServerRecorder
    terms: ConfigRecord
    at_least: int | None = None
    named: Mapping[int, str] = field(default_factory=dict)

    def serve(self, grid: Grid) -> Outcome:
        """Runs all rounds.

        Raises:
            ConfigError: see `build_strategy`.
            TrainingError: no client could train in a round; under central noise one was missing; or the strategy has
                made another shape.
            DivergedError: the values of clients, or of the strategy, are no longer finite.
        """
        self.recorder.begin(self.initial.spec)
        flower = self.experiment.flower
        central, nodes = central_plan(self.experiment), self.experiment.simulation.nodes
        inner = build_strategy(flower, nodes, central, at_least=self.at_least)
        roll = Attendance(self.named, flower.timeout_s)
        strategy = Watched(inner, self.recorder.due, roll, self._seed_draw)

        def look(_index: int, arrays: ArrayRecord) -> None:
            self._check_noise(strategy.round)
            self.recorder.after(strategy.round, self._state(arrays, strategy.round))

        # what is not finite is told after the round, in one line
        with _seeded(self.experiment.seed), np.errstate(over="ignore", invalid="ignore"):
            strategy.start(
                grid,
                arrays_of(self.initial),
                num_rounds=self.experiment.training.phases,
                timeout=flower.timeout_s,
                # copies: Flower writes the round's number into what it is given
                train_config=ConfigRecord(dict(self.terms)),
                evaluate_config=ConfigRecord(dict(self.terms)),
                evaluate_fn=look,
            )
        return self.recorder.outcome()

    def _state(self, arrays: ArrayRecord, done: Round) -> AdapterState:
        """What the strategy has made of a round: no peer's doing, but that of its settings."""
        name = self.experiment.flower.strategy
        try:
            return state_of(arrays, self.initial.spec, sender=f"flower.strategy {name}")
        except MessageError as error:
            kind, hint = TrainingError, ""
            if error.reason == "nan":
                kind, hint = DivergedError, ": flower.options or training.learning_rate is too high"
            raise kind(f"round {done.index}: {error}{hint}") from error

    def _seed_draw(self, index: int) -> None:
        """Anew in each round: in a deployment threads of Flower's use the same generator, for their heartbeats."""
        random.seed(derive_seed(self.experiment.seed, purpose="flower sampling", step=index))

    def _check_noise(self, done: Round) -> None:
        """Flower adds noise for as many clients as it asked: with fewer it is too little for the ε that is reported."""
        flower = self.experiment.flower
        wanted = clients_in_a_round(flower, self.experiment.simulation.nodes)
        if flower.central_noise is not None and done.index and len(done.trained) < wanted:
            kind = DivergedError if done.failed["diverged"] else TrainingError
            raise kind(
                f"round {done.index}: {len(done.trained)} of {wanted} clients have trained; "
                "flower.central_noise is reckoned for all of them"
            )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Flower draws clients and central noise from the global generators: they are left as they were.

    The noise is seeded here, the draws by `Server`.
    """
    kept, kept_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # Flower's are these
    np.random.seed(derive_seed(seed, purpose="flower noise") % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)  # noqa: NPY002
