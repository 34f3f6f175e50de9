"""An owner's bench with canaries among its units, and with somebody watching its mechanism.

    units   [ the data's: always in | pool: in by lot | relabeled: in by lot ] [ gradient canaries: in by lot ]

Who is in by lot is drawn and paid for like everybody else, whether in or out: the number of units, and with it the
sampling rate and the noise, says nothing of the lots. A unit that is out adds nothing, which is what "removed" means.
"""

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.rng import generator
from gossipfl.errors import ConfigError
from gossipfl.learning.bench import Bench, learner_for
from gossipfl.learning.books import Books, RunTerms
from gossipfl.learning.data import DataSite, NodeRecords
from gossipfl.learning.probes import DiracProbe, LossProbe, Probe, probe_of
from gossipfl.learning.resident import Resident
from gossipfl.learning.together import module_order
from gossipfl.learning.workplace import Rig
from gossipfl.privacy.canaries import Canaries, CanarySource, load_present, quiet_places, with_canary_losses
from gossipfl.privacy.mechanisms import Mechanism, MechanismParts, Vector
from gossipfl.privacy.sources.seam import trainable
from gossipfl.privacy.watched import WatchedMechanism

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Kind = Literal["gradient", "mislabeled"]
LOUD, PLAIN = 100.0, 10.0
"""Length of a canary's gradient in clipping norms: where steps are clipped, so that what is not clipped is heard; and
where they are not, so that it is no more than what a strange record has."""
QUIET_BATCHES = 8
"""Micro-batches of the data by which places are chosen."""


@dataclass(frozen=True, slots=True)
class Planting:
    """What is planted at an owner; the same in every run of an audit but for who is in.

    Attributes:
        kind: of the canaries.
        records: the owner's, with the canaries' labels and with a unit for each gradient canary.
        canaries, pool: (…,) units that are in by lot.
    """

    kind: Kind
    records: NodeRecords
    canaries: NDArray[np.int64]
    pool: NDArray[np.int64]


def plant(records: NodeRecords, kind: Kind, counts: tuple[int, int], *, labels: int, seed: int) -> Planting:
    """Chooses who is in by lot.

    Args:
        counts: of canaries, and of records for membership inference.
        labels: of the task; 0: it has none.

    Raises:
        ConfigError: the records are too few, or have no labels that could be wrong.
    """
    wished, members = counts
    units, draw = len(records.train), generator(seed, purpose="audit planting")
    taken = members + (wished if kind == "mislabeled" else 0)
    if taken >= units:
        raise ConfigError(
            f"audit: {taken} of the owner's records are to be in by lot, and it has {units}, one of which must be "
            "certain; make audit.members (or mislabeled audit.canaries) smaller"
        )
    chosen = draw.permutation(units)[:taken]
    pool = np.sort(chosen[:members])
    if kind == "gradient":
        more = replace(records, train=(*records.train, *([] for _ in range(wished))))
        return Planting(kind, more, units + np.arange(wished), pool)
    if labels < 2:
        raise ConfigError("audit.kind mislabeled: the task has no labels; gradient was expected")
    canaries = np.sort(chosen[members:])
    return Planting(kind, _relabeled(records, canaries, labels, draw), canaries, pool)


def _relabeled(records: NodeRecords, units: NDArray[np.int64], labels: int, draw: np.random.Generator) -> NodeRecords:
    """Under a label that is wrong for sure."""
    changed = list(records.records)
    for unit in units:
        shift = int(draw.integers(1, labels))
        for row in records.train[unit]:
            changed[row] = replace(changed[row], label=(changed[row].label + shift) % labels)
    return replace(records, records=tuple(changed))


@dataclass(frozen=True, slots=True)
class PlantedBench:
    """The owner's bench, and what an adversary reads there.

    Attributes:
        bench: to train at.
        watched: its mechanism.
        canaries, pool: read off states what was learned of each.
        height: of a gradient canary after clipping, over the clipping norm.
    """

    bench: Bench
    watched: WatchedMechanism
    canaries: Probe
    pool: LossProbe
    height: float


def planted_bench(
    resident: Resident, site: DataSite, planting: Planting, terms: RunTerms, *, books: Books, present: Flags
) -> PlantedBench:
    """The owner's bench, in one run.

    Args:
        books: for as many units as the planting has.
        present: (units,) who is in; True for all that are not in by lot.

    Raises:
        UserError: see `learner_for`; or fewer values are trained and exchanged than there are canaries.
    """
    order = module_order(resident.adapted)
    maker = _Maker(resident, planting, present, order)
    rig = Rig(parts=maker.parts, mechanism=maker.watch)
    bench = learner_for(resident, site, terms, planting.records, books=books, rig=rig)
    if maker.canaries is None:
        probe: Probe = probe_of(resident, planting.records, planting.canaries.tolist())
    else:
        probe = DiracProbe(resident.adapted.initial, order[maker.canaries.places])
    pool = probe_of(resident, planting.records, planting.pool.tolist())
    # its one value gets the share of its one parameter
    by_layer = resident.adapted.experiment.privacy.clipping == "per_layer"
    height = 1 / math.sqrt(len(trainable(resident.adapted.module))) if by_layer else 1.0
    return PlantedBench(bench, maker.watched[0], probe, pool, height)


class _Maker:
    """Changes what the owner's mechanism is built from, and watches it."""

    def __init__(self, resident: Resident, planting: Planting, present: Flags, order: NDArray[np.int64]) -> None:
        self._resident = resident
        self._planting = planting
        self._present = present
        self._order = order
        self.canaries: Canaries | None = None
        self.watched: list[WatchedMechanism] = []

    def parts(self, parts: MechanismParts) -> MechanismParts:
        """With canaries in."""
        training, device = self._resident.adapted.experiment.training, self._resident.device
        if self._planting.kind == "gradient":
            self.canaries = self._choose(parts)
        load = load_present(
            parts.load, self._present, canaries=self.canaries, micro_batch=training.micro_batch, device=device
        )
        if self.canaries is None:
            return replace(parts, load=load)
        losses = with_canary_losses(parts.losses, self.canaries, parts.module)
        source = None if parts.source is None else CanarySource(parts.source, self.canaries, parts.module)
        return replace(parts, load=load, losses=losses, source=source)

    def watch(self, mechanism: Mechanism) -> Mechanism:
        """With somebody watching."""
        privacy = self._resident.adapted.experiment.privacy
        steps = None if privacy.releases_phases else self._gradients
        watched = WatchedMechanism(mechanism, gradient_seen=steps, released_seen=self._released)
        self.watched.append(watched)
        return watched

    def _choose(self, parts: MechanismParts) -> Canaries:
        adapted, count = self._resident.adapted, len(self._planting.canaries)
        privacy = adapted.experiment.privacy
        draw = generator(adapted.experiment.seed, purpose="audit places")
        first = int(self._planting.canaries[0])
        some = draw.permutation(first)[: QUIET_BATCHES * adapted.experiment.training.micro_batch]
        with adapted.turn:
            adapted.write(adapted.initial)
            among = self._order < adapted.initial.sharing().vector.size
            batches = islice(parts.load(some.astype(np.int64)), QUIET_BATCHES)
            places = quiet_places(parts.module, parts.losses, batches, among, draw)
        if len(places) < count:
            raise ConfigError(f"audit.canaries {count}: only {len(places)} values are trained and exchanged")
        length = privacy.max_grad_norm * (LOUD if privacy.noises_steps else PLAIN)
        return Canaries(first, places[:count], length)

    def _gradients(self) -> Floats:
        """What a step left at the canaries' places."""
        if self.canaries is None:
            return np.empty(0)
        found = [
            np.zeros(own.numel(), np.float32) if own.grad is None else own.grad.float().flatten().cpu().numpy()
            for own in trainable(self._resident.adapted.module)
        ]
        return np.concatenate(found)[self.canaries.places].astype(np.float64)

    def _released(self, change: Vector) -> Floats:
        """What a phase released at the canaries' places, downhill."""
        return np.empty(0) if self.canaries is None else -change[self._order[self.canaries.places]].astype(np.float64)


def dealt(planting: Planting, included: Flags, members: Flags) -> Flags:
    """(units,) who is in, from the lots of canaries and pool."""
    present = np.ones(len(planting.records.train), np.bool_)
    present[planting.canaries] = included
    present[planting.pool] = members
    return present


def half(count: int, draw: np.random.Generator) -> Flags:
    """(count,) a half of them, by lot."""
    return draw.permutation(count) < count // 2
