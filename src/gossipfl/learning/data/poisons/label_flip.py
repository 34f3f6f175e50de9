"""Label flip: what is true under a wrong label.

    y ── C − 1 − y, or as a table says ──>        C labels

Source: Biggio, Nelson & Laskov (2011); as in Karimireddy, He & Jaggi (2022), arXiv 2006.09365.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gossipfl.config.attackers import AttackersConfig
from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError
from gossipfl.learning.data.records import Record


@dataclass(frozen=True, slots=True)
class LabelFlip:
    """See the module.

    Attributes:
        share: see `Poison`.
        becomes: label by label; others stay.
    """

    share: float
    becomes: Mapping[int, int]

    def altered(self, record: Record) -> Record:
        """See `Poison`."""
        return replace(record, label=self.becomes.get(record.label, record.label))

    def tried(self, record: Record) -> Record | None:  # noqa: ARG002
        """Accuracy tells."""
        return None


def label_flip(config: AttackersConfig, experiment: Experiment) -> LabelFlip:
    """The attack on an experiment's labels.

    Raises:
        ConfigError: it has none, or not those that are to be flipped.
    """
    task = experiment.task
    if not task.labels_records:
        raise ConfigError(f"simulation.attackers.kind label_flip: task.kind {task.kind} has no labels to flip")
    places = {label: place for place, label in enumerate(task.labels)}
    for label in (*config.flips, *config.flips.values()):
        if label not in places:
            raise ConfigError(f"simulation.attackers.flips: {label!r} is none of task.labels: {', '.join(places)}")
    named = {places[label]: places[other] for label, other in config.flips.items()}
    across = {place: len(places) - 1 - place for place in places.values()}
    return LabelFlip(1.0 if config.strength is None else config.strength, named or across)
