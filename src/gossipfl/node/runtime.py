"""One node: events in, effects out, nothing of the protocol decided here.

transport ─┐                                   ┌─ Train       worker thread
worker    ─┼─> order ─> protocol.handle() ─────┼─ Checkpoint  disk, durable before what follows
timers    ─┤                                   ├─ Send        publication log, then transport
signals   ─┘                                   └─ SetTimer, Report, Finish
"""

import asyncio
import itertools
import logging
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.events import (
    Checkpoint,
    Effect,
    Event,
    Finish,
    Heard,
    Received,
    Report,
    Send,
    SetTimer,
    Started,
    Stopped,
    Train,
)
from gossipfl.errors import MessageError
from gossipfl.net.reports import StatusSnapshot
from gossipfl.net.transport import Transport
from gossipfl.node.following import Following
from gossipfl.node.hearing import Hearing
from gossipfl.node.mail import mail_of
from gossipfl.node.order import ArrivalOrder, Failed, Item, Noted, Order
from gossipfl.node.parts import NodeParts
from gossipfl.node.record import STOPPED_TOGETHER
from gossipfl.node.timers import Timers, on_signals
from gossipfl.node.together import Together
from gossipfl.node.trainer import PhaseDone, Trainer
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)
STOP_S = 2.0
"""Seconds a stop waits for the phase under way; then it is dropped."""
STEP_S = 0.5
"""Seconds a dropped phase gets to end its optimizer step: a thread in mid-step makes the process's end slow."""
FLUSH_S = 0.5
"""Seconds a stop gives messages that have not left yet."""


class Node:
    """A node from its first event to its last.

    Args:
        parts: everything it works with, see `gossipfl.node.assembly`.
        serve: go on mixing and serving for ever after the last step.
        order: in which what happens is handed to the protocol; default: as it happens.
    """

    def __init__(self, parts: NodeParts, *, serve: bool = False, order: Order | None = None) -> None:
        self._parts = parts
        self._transport: Transport | None = None
        self._serve = serve
        self._trainer = Trainer(parts.bench, parts.record, parts.rest, parts.intake)
        self._order: Order = order or ArrivalOrder()
        self._timers = Timers(self._order.add)
        self._phase: asyncio.Task[None] | None = None
        self._evaluating: asyncio.Task[None] | None = None
        self._working: asyncio.Task[None] | None = None
        self._stop_asked = asyncio.Event()
        self._interrupted = False
        self._moments: Mapping[str, NDArray[np.float32]] = parts.bench.learner.durable()
        self._stopping = False
        self._finished = False
        self._serving = False
        self._together = Together(parts, self._timers)
        self._hearing = Hearing(parts, self._order.add, self._reject)
        self._watching: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Runs until everything is done, or until SIGTERM or SIGINT; the record then holds the result.

        Raises:
            UserError: disk, ledger or budget do not allow to go on; the last checkpoint is intact.
        """
        if self._parts.finished and not self._serve:
            await self._show_again()
            return
        try:
            # before it is entered: what it delivers may have to be answered
            transport = self._transport = self._parts.open_transport(self._hearing.take)
            self._hearing.mail = mail_of(self._parts, transport, self._order.add)
            followed = self._parts.followed
            self._hearing.following = Following(followed, transport, self._order.add) if followed else None
            self._parts.common.begin(transport, self._order.add)
            async with transport, asyncio.TaskGroup() as tasks:
                self._watching = tasks.create_task(self._hearing.following.run()) if self._hearing.following else None
                self._working = tasks.create_task(self._hearing.mail.work()) if self._hearing.mail else None
                with on_signals(lambda number: tasks.create_task(self._stop(number))):
                    self._order.add(Started())
                    await self._until_done(transport, tasks)
                self._leave()
                await transport.flush(FLUSH_S)
        finally:
            self._leave()
            await self._trainer.ended(STEP_S)

    def status(self) -> StatusSnapshot:
        """What members are told, with all details."""
        return self._transport.snapshot() if self._transport is not None else self._parts.record.status()

    async def _show_again(self) -> None:
        """The result of a run that an earlier life finished; nobody waits for this node any more."""
        logger.info("this run is finished: nothing to do (--serve goes on serving it)")
        self._finished = True
        await self._trainer.evaluate(self._parts.protocol.snapshot.state)
        self._trainer.close()
        self._note_progress()
        self._parts.report(self._parts.record)

    async def _until_done(self, transport: Transport, tasks: asyncio.TaskGroup) -> None:
        while not self._finished:
            item, now = await self._order.next()
            started, began_ns = time.perf_counter(), time.time_ns()
            if not self._together.takes(item):
                effects = self._parts.protocol.handle(self._event(item), now)
                self._trace_mixings(effects, began_ns)
                await self._perform(effects, transport, tasks)
            await self._together.look(self._moments)
            self._finished |= self._together.over
            if isinstance(item, Received | Heard) and self._hearing.mail is None:
                transport.handled(item.sender)
            self._parts.record.gossip_s += time.perf_counter() - started
        await self._together.ended()
        await self._evaluate(tasks)
        self._write_metrics(transport)

    def _reject(self, error: MessageError) -> None:
        if self._transport is not None:
            self._transport.counters.reject(error)

    async def _evaluate(self, tasks: asyncio.TaskGroup) -> None:
        """How good the final state is; a stop does not wait for it."""
        if self._stopping or self._together.begun:
            return
        self._evaluating = tasks.create_task(self._trainer.evaluate(self._parts.protocol.snapshot.state))
        stopped = tasks.create_task(self._stop_asked.wait())
        await asyncio.wait([self._evaluating, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    async def _evaluate_while_serving(self, transport: Transport, tasks: asyncio.TaskGroup) -> None:
        await self._evaluate(tasks)
        self._write_metrics(transport)

    def _event(self, item: Item) -> Event[AdapterState]:
        match item:
            case Failed(error=error):
                raise error
            case PhaseDone(trained=trained, moments=moments):
                self._moments = moments
                if self._parts.traces is not None:
                    self._parts.traces.trained(trained, item.began_ns, item.ended_ns)
                return trained
            case Stopped():
                self._finished = True
            case Noted():
                raise AssertionError("nothing for the protocol")
        return item

    def _trace_mixings(self, effects: Sequence[Effect[AdapterState]], began_ns: int) -> None:
        if self._parts.traces is None:
            return
        for effect in effects:
            if isinstance(effect, Report):
                self._parts.traces.mixed(effect, began_ns, time.time_ns())

    async def _perform(
        self, effects: Sequence[Effect[AdapterState]], transport: Transport, tasks: asyncio.TaskGroup
    ) -> None:
        for kind, group in itertools.groupby(effects, key=type):
            if kind is Send:
                await self._publish_traced([effect for effect in group if isinstance(effect, Send)], transport)
                continue
            for effect in group:
                await self._perform_one(effect, transport, tasks)

    async def _perform_one(self, effect: Effect[AdapterState], transport: Transport, tasks: asyncio.TaskGroup) -> None:
        match effect:
            case Train():
                if not self._stopping and not self._together.forbids_training():
                    self._phase = tasks.create_task(self._train(effect))
            case Checkpoint(snapshot=snapshot):
                self._moments = await self._parts.save(snapshot, self._moments)
                await self._parts.save_heads(transport.heads())
            case SetTimer(name=name, delay_s=delay_s):
                self._timers.set(name, delay_s)
            case Report():
                self._parts.record.report = effect
                self._parts.record.absences += len(effect.absent)
                if self._hearing.following is not None:
                    self._hearing.following.mixed(effect)
                self._write_metrics(transport)
            case Finish():
                self._finish(transport, tasks)
            case Send():
                await self._publish_traced([effect], transport)
            case _:
                assert_never(effect)

    def _finish(self, transport: Transport, tasks: asyncio.TaskGroup) -> None:
        self._parts.mark_finished()
        self._finished = not self._serve
        if self._serve:
            self._serving = True
            # beside the loop: neighbors want answers meanwhile
            tasks.create_task(self._evaluate_while_serving(transport, tasks))

    async def _publish_traced(self, sends: Sequence[Send[AdapterState]], transport: Transport) -> None:
        traces = self._parts.traces
        with traces.publishing(sends[0].header) if traces is not None else nullcontext():
            await self._publish(sends, transport)

    async def _publish(self, sends: Sequence[Send[AdapterState]], transport: Transport) -> None:
        if self._parts.attacker is not None:
            sends = await asyncio.to_thread(self._parts.attacker.disguised, sends)
        # durable in the log before the first byte leaves
        if self._hearing.mail is not None:
            await self._hearing.mail.publish(sends, lambda: self._parts.log_publications(sends))
            return
        await asyncio.to_thread(self._parts.log_publications, sends)
        for send in sends:
            self._parts.record.distances.published(send.packet.seen, send.header)
            head = self._parts.ledger_head()
            transport.post(
                send.receiver, send.packet, send.header, head, replaceable=send.replaceable, crossing=send.crossing
            )

    async def _train(self, effect: Train[AdapterState]) -> None:
        try:
            done = await self._trainer.train(effect, lambda: None if self._stopping else self._together.to_train())
        except Exception as error:  # noqa: BLE001  # raised again in the node's own loop
            self._order.add(Failed(error))
        else:
            if done is not None:
                self._order.add(done)

    async def _stop(self, number: int) -> None:
        """Lets the phase under way finish if it does so soon, then ends the node."""
        if self._stopping:
            return
        self._stopping, self._interrupted = True, number == signal.SIGINT
        self._stop_asked.set()
        logger.info("stopping: waiting up to %.0f s for the phase under way", STOP_S)
        if self._phase is not None and not self._trainer.resting:
            await asyncio.wait([self._phase], timeout=STOP_S)
        self._order.add(Stopped())

    def _leave(self) -> None:
        self._timers.close()
        for task in (self._phase, self._evaluating, self._working, self._watching):
            if task is not None:
                task.cancel()
        self._trainer.close()

    def _write_metrics(self, transport: Transport) -> None:
        self._note_progress()
        record, counters = self._parts.record, transport.counters
        record.bytes_sent, record.bytes_received = counters.bytes_sent, counters.bytes_received
        record.rejected = dict(counters.rejected)
        self._parts.note()

    def _note_progress(self) -> None:
        record, snapshot = self._parts.record, self._parts.protocol.snapshot
        record.step, record.phase, record.receipt = snapshot.step, snapshot.phase, self._parts.receipt()
        record.drift = abs(snapshot.drift)
        record.state = self._state()
        record.remember()

    def _state(self) -> str:
        snapshot, training = self._parts.protocol.snapshot, self._parts.experiment.training
        if self._finished and self._together.begun:
            return STOPPED_TOGETHER
        if self._finished and self._stopping:
            return "interrupted" if self._interrupted else "stopped"
        if self._finished:
            return "done"
        if self._serving:
            return "serving"
        return "settling" if snapshot.phase >= training.phases or snapshot.exhausted else "training"
