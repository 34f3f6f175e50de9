"""Training and evaluation on the worker thread, one phase at a time."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.events import Train, Trained
from gossipfl.learning.bench import Bench
from gossipfl.learning.forgetting import score_of
from gossipfl.node.freed_memory import return_freed_memory
from gossipfl.node.intake import Intake
from gossipfl.node.record import NodeRecord
from gossipfl.node.rest import Rest
from gossipfl.node.worker import Worker
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PhaseDone:
    """A finished phase: the protocol's event, and the optimizer's moments as they were right after it.

    Attributes:
        began_ns, ended_ns: its training, since the epoch.
    """

    trained: Trained[AdapterState]
    moments: Mapping[str, NDArray[np.float32]]
    began_ns: int
    ended_ns: int


class Trainer:
    """Runs `Train` effects on the one thread that owns the model.

    Args:
        bench: learner and data.
        record: where evaluations and times are noted.
        rest: before a phase; None: none.
        intake: takes new data in before a phase; None: none comes.
    """

    def __init__(
        self, bench: Bench, record: NodeRecord, rest: Rest | None = None, intake: Intake | None = None
    ) -> None:
        self._bench, self._record, self._rest, self._intake = bench, record, rest, intake
        # phases between evaluations of the state that a phase starts from; 0: only `evaluate`
        self._evaluate_every = bench.adapted.experiment.training.evaluate_every
        self._worker = Worker()

    @property
    def resting(self) -> bool:
        """Whether a phase that was asked for has not begun yet."""
        return self._rest is not None and self._rest.resting

    async def train(
        self, effect: Train[AdapterState], begin: Callable[[], AdapterState | None] = lambda: None
    ) -> PhaseDone | None:
        """Carries out one phase, when the node has rested; the network goes on meanwhile.

        Args:
            begin: the state as it is after a rest, to begin from; None: the phase is not to be any more.
        """
        late = self._rest is not None and await self._rest.over()
        if late:
            state = begin()
            if state is None:
                return None
            effect = replace(effect, snapshot=state)
        return await self._worker.run(lambda: self._train(effect, late=late))

    async def evaluate(self, state: AdapterState) -> None:
        """Notes loss and metrics of the last state on the held-out part and on the common test set."""
        await self._worker.run(lambda: self._evaluate(state, last=True))

    def close(self) -> None:
        """No more jobs; one under way is dropped after its current optimizer step."""
        self._bench.learner.stop()
        self._worker.close()

    async def ended(self, deadline_s: float) -> bool:
        """After `close`: waits for the thread's end; whether it came in time."""
        return await asyncio.to_thread(self._worker.join, deadline_s)

    def _train(self, effect: Train[AdapterState], *, late: bool) -> PhaseDone:
        if self._evaluate_every and effect.version and effect.version % self._evaluate_every == 0:
            self._evaluate(effect.snapshot)
        self._take_in(effect.first_step)
        began_ns, started = time.time_ns(), time.perf_counter()
        training = self._bench.learner.train(
            effect.snapshot,
            first_step=effect.first_step,
            steps=effect.steps,
            phase=effect.version,
            seconds=effect.seconds,
        )
        took_s = time.perf_counter() - started
        if training.exhausted:
            text = "the privacy budget is spent: %d of %d steps were trained; from now on this node mixes and serves"
            logger.warning(text, training.steps, effect.steps)
        self._record.train_s += took_s
        if self._rest is not None:
            self._rest.trained(took_s)
        ended_ns = time.time_ns()
        trained = Trained(
            version=effect.version,
            state=training.state,
            steps=training.steps,
            units=training.units,
            receipt=training.receipt,
            exhausted=training.exhausted,
            start=effect.snapshot if late else None,
        )
        done = PhaseDone(trained, self._bench.learner.durable(), began_ns, ended_ns)
        return_freed_memory()
        return done

    def _take_in(self, step: int) -> None:
        """Data that has come since the last phase."""
        if self._intake is None or self._record.data is None:
            return
        self._intake.look(step)
        plan = self._bench.plan
        self._record.noise_multiplier = plan.noise_ahead if plan else None
        self._record.data.journal = self._intake.journal

    def _evaluate(self, state: AdapterState, *, last: bool = False) -> None:
        learner, data = self._bench.learner, self._bench.data
        if data.held_out.units:
            self._record.held_out = learner.evaluate(state, data.held_out, last=last)
            self._remember(state)
        if data.test is not None:
            self._record.test = learner.evaluate(state, data.test, last=last)

    def _remember(self, state: AdapterState) -> None:
        """How good it is on each period's data, where more may come."""
        record, data = self._record, self._bench.data
        if record.data is None or record.held_out is None:
            return
        by_period = [self._bench.learner.evaluate(state, each) for each in data.by_period] or [record.held_out]
        record.data.judge([score_of(found) for found in by_period])
