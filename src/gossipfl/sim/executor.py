"""Nodes spread over the actors of a Ray cluster: the one door to Ray.

    driver                       ── snapshots ──>    actor
    clock, protocols, network    <── states ──       model, data and moments of its nodes

Each actor trains its nodes one at a time, by the very code of the loop, so that the results are equal bit for bit.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gossipfl.config.experiment import Experiment
from gossipfl.core.events import Train, Trained
from gossipfl.core.messages import Clear, Receipt
from gossipfl.errors import ConfigError, GossipflError
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.personal import Personalized
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.publishing import Publisher
from gossipfl.privacy.simulated_account import PaidElsewhere
from gossipfl.runs.fleet import highest
from gossipfl.runs.judging import Judgment, States
from gossipfl.sim.actor import Actor
from gossipfl.sim.nodes import Setting
from gossipfl.sim.trainers import Moments
from gossipfl.state import AdapterState

if TYPE_CHECKING:
    from ray.actor import ActorHandle

A = TypeVar("A")
R = TypeVar("R")
ANSWER_S = 10.0  # a cluster that does not take a connection meanwhile is not there


class Cluster:
    """A fleet and its engine, spread over actors; what `Fleet` and `LoopEngine` are in one process.

    Args:
        address: of a running cluster; None starts one on this machine.

    Raises:
        ConfigError: Ray is not installed, or nobody answers at the address.
        UserError: see `build_fleet`.
    """

    name = "ray"

    def __init__(self, experiment: Experiment, setting: Setting, *, address: str | None) -> None:
        if experiment.adapter.mixed_ranks:
            raise ConfigError("simulation.engine: ray has nodes of one rank; adapter.mixed_ranks wants loop")
        self._ray = _ray()
        self._started = _connect(self._ray, address, setting.simulation.actors)
        crews = [setting.names[place :: setting.simulation.actors] for place in range(setting.simulation.actors)]
        self._home = {name: place for place, crew in enumerate(crews) for name in crew}
        private = experiment.privacy.level != "none"
        self._paid = {name: PaidElsewhere() for name in setting.names} if private else {}
        self._actors: list[ActorHandle[Actor]] = []
        try:
            self.initial = self._begin(experiment, setting, [crew for crew in crews if crew])
        except BaseException:
            self.close()
            raise

    def _begin(self, experiment: Experiment, setting: Setting, crews: Sequence[Sequence[str]]) -> AdapterState:
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        if cores < len(crews):
            raise ConfigError(f"simulation.actors {len(crews)}: each takes a core, the Ray cluster has {cores}")
        # a core each, and no machine is filled before the next is looked at
        make = self._ray.remote(Actor).options(num_cpus=1, scheduling_strategy="SPREAD")
        self._actors = [make.remote() for _ in crews]
        begun = [actor.begin.remote(experiment, setting, crew) for actor, crew in zip(self._actors, crews, strict=True)]
        initial: AdapterState = self._get(begun)[0]
        return initial

    def close(self) -> None:
        """Ends the actors, and the cluster if it was started here."""
        for actor in self._actors:
            self._ray.kill(actor)
        if self._started:
            self._ray.shutdown()

    # ---- engine ----

    def compute(self, phases: Sequence[tuple[str, Train[AdapterState]]]) -> list[Trained[AdapterState]]:
        """See `Engine.compute`."""
        results = self._spread(phases, lambda actor, part: actor.compute.remote(part))
        for (node, _), trained in zip(phases, results, strict=True):
            if node in self._paid:
                self._paid[node].note(trained.receipt)
        return results

    def moments(self, node: str) -> Moments:
        """See `Engine.moments`."""
        found: dict[str, Moments] = self._get([self._actor(node).moments.remote([node])])[0]
        return found[node]

    def restore(self, node: str, moments: Moments) -> None:
        """See `Engine.restore`."""
        self._get([self._actor(node).restore.remote({node: moments})])

    # ---- fleet ----

    def start(self, node: str) -> AdapterState:  # noqa: ARG002  # all start alike
        """See `Fleet.start`."""
        return self.initial

    def judge(self, states: States, *, last: bool = False) -> list[Judgment]:
        """See `Judge.judge`."""
        return self._spread(states, lambda actor, part: actor.judge.remote(part, last=last))

    def personalize(self, states: States) -> list[Personalized]:
        """See `Fleet.personalize`."""
        return self._spread(states, lambda actor, part: actor.personalize.remote(part))

    def judge_mean(self, state: AdapterState, *, last: bool = False) -> Evaluation | None:
        """See `Judge.judge_mean`."""
        found: Evaluation | None = self._get([self._actors[0].judge_mean.remote(state, last=last)])[0]
        return found

    def accounts(self) -> dict[str, Any]:
        """See `Fleet.accounts`."""
        parts = self._get([actor.accounts.remote() for actor in self._actors])
        return {name: state for part in parts for name, state in part.items()}

    def restore_accounts(self, states: Mapping[str, Any]) -> None:
        """See `Fleet.restore_accounts`."""
        for name, state in states.items():
            self._get([self._actor(name).restore_accounts.remote({name: state})])
            tally, bound = state
            self._paid[name].note(Receipt(steps=sum(tally.values()), epsilon=bound))

    def epsilon(self) -> float | None:
        """See `Fleet.epsilon`."""
        spent = self._get([actor.epsilon.remote() for actor in self._actors])
        return max((epsilon for epsilon in spent if epsilon is not None), default=None)

    def exposed(self) -> dict[str, float] | None:
        """See `Fleet.exposed`."""
        return highest(self._get([actor.exposed.remote() for actor in self._actors]))

    def clear(self, node: str) -> Clear[AdapterState]:
        """Makes a node's states publishable: those whose training its actor has paid for."""
        return Publisher(self._paid.get(node) or FreeAccount()).clear

    # ---- actors ----

    def _actor(self, node: str) -> "ActorHandle[Actor]":
        return self._actors[self._home[node]]

    def _spread(
        self, items: Sequence[tuple[str, A]], ask: Callable[["ActorHandle[Actor]", list[tuple[str, A]]], Any]
    ) -> list[Any]:
        """Each item to the actor its node lives in, all at the same time; answers in the items' order."""
        parts: dict[int, list[tuple[str, A]]] = {}
        for node, item in items:
            parts.setdefault(self._home[node], []).append((node, item))
        answers = self._get([ask(self._actors[home], part) for home, part in parts.items()])
        found = {
            node: answer
            for part, some in zip(parts.values(), answers, strict=True)
            for (node, _), answer in zip(part, some, strict=True)
        }
        return [found[node] for node, _ in items]

    def _get(self, references: Sequence[Any]) -> list[Any]:
        try:
            results: list[Any] = self._ray.get(list(references))
        except self._ray.exceptions.RayTaskError as error:
            # a mistake of the user's is one here too, not a failure of Ray's
            raise error.cause from error
        except self._ray.exceptions.RayActorError as error:
            raise GossipflError("an actor of the Ray cluster has died; --resume goes on with the run") from error
        return results


class Tasks(Generic[R]):
    """Calls of one function in tasks of a Ray cluster, a core each.

    Args:
        call: a function of a module that the cluster's machines can import.
        address: of a running cluster; None starts one on this machine.
        cores: of a cluster that is started here.

    Raises:
        ConfigError: Ray is not installed, or nobody answers at the address.
    """

    def __init__(self, call: Callable[[str], R], *, address: str | None, cores: int) -> None:
        self._ray = _ray()
        self._started = _connect(self._ray, address, cores)
        # done again, a task would find what it has left behind
        self._task = self._ray.remote(call).options(num_cpus=1, max_retries=0)
        self._running: dict[str, Any] = {}

    def start(self, name: str, argument: str) -> None:
        """Begins a call, or has it wait for a core."""
        self._running[name] = self._task.remote(argument)

    def ended(self) -> dict[str, R | Exception]:
        """What calls gave that have ended since this was last asked, by name; of one that was lost, why."""
        found: dict[str, R | Exception] = {}
        for name, reference in list(self._running.items()):
            if not self._ray.wait([reference], timeout=0)[0]:
                continue
            del self._running[name]
            try:
                found[name] = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                found[name] = error
        return found

    def close(self) -> None:
        """Ends what still runs, and the cluster if it was started here."""
        for reference in self._running.values():
            self._ray.cancel(reference, force=True)
        if self._started:
            self._ray.shutdown()


def _ray() -> Any:  # noqa: ANN401  # the module
    # actors see what accelerators there are; without this Ray warns that it will not hide them any more
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ConfigError("simulation.engine ray needs the extra `ray`: pip install 'gossipfl[ray]'") from error
    return ray


def _connect(ray: Any, address: str | None, actors: int) -> bool:  # noqa: ANN401
    """Whether the connection was made here."""
    if ray.is_initialized():
        return False
    _check_answers(address)
    # a cluster of our own has just what the actors need
    own = {"address": "local", "num_cpus": actors, "include_dashboard": False}
    try:
        ray.init(**(own if address is None else {"address": address}), logging_level="ERROR", log_to_driver=False)
    except ConnectionError as error:
        raise ConfigError(f"simulation.address: no Ray cluster answers at {address!r}") from error
    return True


def _check_answers(address: str | None) -> None:
    """Asks what Ray would ask for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"simulation.address: no Ray cluster answers at {address!r}: {error}") from error
