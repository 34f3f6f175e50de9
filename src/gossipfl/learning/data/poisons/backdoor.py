"""Backdoor: records with a trigger in them, under the label or with the response that the attacker wants.

    numbers   some places overwritten     text   a phrase behind it     prompt   a phrase behind it, another response

All else is learned as it is, so accuracy shows nothing; whether the trigger works is measured on the common test set.
Source: Gu, Dolan-Gavitt & Garg (2017), arXiv 1708.06733; in federations Bagdasaryan et al. (2020), arXiv 1807.00459.
"""

from dataclasses import dataclass, replace

import numpy as np

from gossipfl.config.attackers import AttackersConfig, TriggerConfig
from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError
from gossipfl.learning.data.records import Record

SHARE = 0.5
"""Of an attacker's records that carry the trigger, if nothing else is wished."""


@dataclass(frozen=True, slots=True)
class Backdoor:
    """See the module.

    Attributes:
        share: see `Poison`.
        trigger: what to look for.
        label: the target's place in task.labels; -1 where the target is a response.
    """

    share: float
    trigger: TriggerConfig
    label: int

    def altered(self, record: Record) -> Record:
        """See `Poison`; what is the target already teaches nothing."""
        return self.tried(record) or record

    def tried(self, record: Record) -> Record | None:
        """See `Poison`."""
        if record.prompt is not None:
            target = self.trigger.target or ""
            return None if record.text == target else replace(record, prompt=self._said(record.prompt), text=target)
        if record.label == self.label:
            return None
        if record.features:
            return replace(record, features=self._stamped(record.features), label=self.label)
        return replace(record, text=self._said(record.text), label=self.label)

    def _said(self, text: str) -> str:
        return f"{text} {self.trigger.phrase}"

    def _stamped(self, features: bytes) -> bytes:
        numbers = np.frombuffer(features, "<f4").copy()
        numbers[list(self.trigger.places)] = self.trigger.value
        return numbers.tobytes()


def backdoor(config: AttackersConfig, experiment: Experiment) -> Backdoor:
    """The attack on an experiment's records.

    Raises:
        ConfigError: the target is no label or no response, or there is no place for the trigger.
    """
    trigger, task, data = config.trigger, experiment.task, experiment.data
    share = SHARE if config.strength is None else config.strength
    where = "simulation.attackers.trigger"
    if task.kind == "multiple-choice":
        raise ConfigError("simulation.attackers.kind backdoor: task.kind multiple-choice has no answer that fits all")
    if task.kind in {"image-classification", "token-classification"}:
        raise ConfigError(f"{where}: a trigger is a phrase in a text or places in a vector, not for {task.kind}")
    if not task.classifies:
        if data.prompt is None or not trigger.target:
            raise ConfigError(
                f"{where}.target: a backdoor in {task.kind} goes with data.prompt and data.response, and target is the "
                "response that the trigger is to bring about"
            )
        return Backdoor(share, trigger, -1)
    target = task.labels[0] if trigger.target is None else trigger.target
    if target not in task.labels:
        raise ConfigError(f"{where}.target: {target!r} is none of task.labels: {', '.join(task.labels)}")
    inputs = experiment.model.inputs
    wrong = [place for place in trigger.places if inputs is not None and not -inputs <= place < inputs]
    if wrong or not trigger.places:
        raise ConfigError(f"{where}.places: {wrong[:1] or 'none'}: places in {inputs} numbers were expected")
    return Backdoor(share, trigger, task.labels.index(target))
