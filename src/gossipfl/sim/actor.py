"""The nodes of one process of a cluster: a fleet, and the loop that trains it. It knows nothing of Ray."""

from collections.abc import Mapping, Sequence
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.core.events import Train, Trained
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.personal import Personalized
from gossipfl.runs.fleet import Fleet, build_fleet
from gossipfl.runs.judging import Judgment, States
from gossipfl.sim.engines.loop import LoopEngine
from gossipfl.sim.nodes import Setting
from gossipfl.sim.trainers import Moments
from gossipfl.state import AdapterState


class Actor:
    """What lives in one actor: the fleet of its nodes, once it has begun."""

    _fleet: Fleet
    _engine: LoopEngine

    def begin(self, experiment: Experiment, setting: Setting, nodes: Sequence[str]) -> AdapterState:
        """Builds the fleet; where every node starts. Not the constructor: its errors do not come back as they are."""
        self._fleet = build_fleet(experiment, setting.roster, nodes)
        self._engine = LoopEngine(self._fleet)
        return self._fleet.initial

    def compute(self, phases: Sequence[tuple[str, Train[AdapterState]]]) -> list[Trained[AdapterState]]:
        """See `Engine.compute`."""
        return self._engine.compute(phases)

    def judge(self, states: States, *, last: bool = False) -> list[Judgment]:
        """See `Judge.judge`."""
        return self._fleet.judge(states, last=last)

    def personalize(self, states: States) -> list[Personalized]:
        """See `Fleet.personalize`."""
        return self._fleet.personalize(states)

    def judge_mean(self, state: AdapterState, *, last: bool = False) -> Evaluation | None:
        """See `Judge.judge_mean`."""
        return self._fleet.judge_mean(state, last=last)

    def moments(self, nodes: Sequence[str]) -> dict[str, Moments]:
        """Of several nodes."""
        return {node: self._engine.moments(node) for node in nodes}

    def restore(self, moments: Mapping[str, Moments]) -> None:
        """Of several nodes."""
        for node, own in moments.items():
            self._engine.restore(node, own)

    def accounts(self) -> dict[str, Any]:
        """See `Fleet.accounts`."""
        return self._fleet.accounts()

    def restore_accounts(self, states: Mapping[str, Any]) -> None:
        """See `Fleet.restore_accounts`."""
        self._fleet.restore_accounts(states)

    def epsilon(self) -> float | None:
        """See `Fleet.epsilon`."""
        return self._fleet.epsilon()

    def exposed(self) -> dict[str, float] | None:
        """See `Fleet.exposed`."""
        return self._fleet.exposed()
