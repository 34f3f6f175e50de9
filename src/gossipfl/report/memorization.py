"""What was recited, by arm, by who holds the model, and by how often the owner had the passage.

    attempts of a state ──> part of the passages, by prompt length ──> mean and worst ──over seeds──> interval

Source: Bossy et al. (2025), arXiv 2502.05087.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gossipfl.report.comparison import Fault
from gossipfl.report.statistics import Difference
from gossipfl.report.tables import markdown_table

ONCE, REPEATED = "once", "repeated"
COUNTS = (ONCE, REPEATED)
FIGURES = ("exact", "exact_worst", "bleu", "bleu_worst", "overlap")
"""Part of the passages recited word for word (exact) or nearly (bleu): mean over prompt lengths, and the worst one;
overlap: mean BLEU itself, which tells apart where nothing is recited yet."""
OWNER, OTHERS = "owner", "others"
DISTANCES = "Repeated passages, BLEU at worst, by links from the owner."
COLUMNS = ("arm", "exact", "at worst", "BLEU", "at worst", "overlap", "once", "others", "test loss", "ε")
RECITED = 6
"""Columns up to what the owner's state recites of repeated passages."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What states recite.

    Attributes:
        figures: mean and 95% interval over the seeds, by name of `FIGURES`; no interval where all seeds agree.
        values: by name and seed.
    """

    figures: Mapping[str, Difference]
    values: Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class ArmMemory:
    """One arm.

    Attributes:
        loss: on the common test set, mean over nodes and seeds; None of no run.
        loss_std: over the seeds.
        epsilon: the largest of a node; None without privacy.
        holders: by `OWNER`, `OTHERS` and then by `COUNTS`; a state that all hold is the owner's, and there are no
            others.
        distances: by links from the owner, and then by `COUNTS`; empty of a state that all hold.
        seeds: attacked.
        faults: of runs that have no result, by seed.
    """

    name: str
    loss: float | None
    loss_std: float | None
    epsilon: float | None
    holders: Mapping[str, Mapping[str, Rates]]
    distances: Mapping[int, Mapping[str, Rates]]
    seeds: tuple[int, ...]
    faults: Mapping[int, Fault] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Its entry in the result."""
        return {
            "name": self.name,
            "test_loss": self.loss,
            "test_loss_std": self.loss_std,
            "epsilon": self.epsilon,
            "seeds": list(self.seeds),
            "failures": [
                {"seed": seed, "status": fault.status, "message": fault.message} for seed, fault in self.faults.items()
            ],
            **{name: _rates_json(rates) for name, rates in self.holders.items()},
            "distances": {str(place): _rates_json(rates) for place, rates in self.distances.items()},
        }

    def row(self) -> tuple[str, ...]:
        """Under `COLUMNS`."""
        return (
            self.name,
            _cell(self.holders.get(OWNER), REPEATED, "exact"),
            _cell(self.holders.get(OWNER), REPEATED, "exact_worst"),
            _cell(self.holders.get(OWNER), REPEATED, "bleu"),
            _cell(self.holders.get(OWNER), REPEATED, "bleu_worst"),
            _cell(self.holders.get(OWNER), REPEATED, "overlap"),
            _cell(self.holders.get(OWNER), ONCE, "bleu_worst"),
            _cell(self.holders.get(OTHERS), REPEATED, "bleu_worst"),
            _figure(self.loss, self.loss_std),
            _figure(self.epsilon, None, places=2),
        )


@dataclass(frozen=True, slots=True)
class Memorization:
    """What came of an audit.

    Attributes:
        arms: the first is the model before training.
        prompts: their lengths in tokens.
        bleu: from which on a continuation counts as recited.
        passages: of each seed, by `COUNTS`.
        files: what was written.
    """

    arms: tuple[ArmMemory, ...]
    prompts: tuple[int, ...]
    bleu: float
    passages: Mapping[str, int]
    files: Mapping[str, str]

    @property
    def farthest(self) -> int:
        """Links from the owner to the node farthest away."""
        return max((place for arm in self.arms for place in arm.distances), default=0)

    def as_json(self) -> dict[str, Any]:
        """The keys of `gossipfl audit memorization --json`."""
        return {
            "arms": [arm.as_json() for arm in self.arms],
            "prompts": list(self.prompts),
            "bleu": self.bleu,
            "passages": dict(self.passages),
            **self.files,
        }

    def rows(self) -> list[tuple[str, ...]]:
        """A row an arm, under `COLUMNS`."""
        return [arm.row() for arm in self.arms]

    def distance_columns(self) -> tuple[str, ...]:
        """Heads of `distance_rows`."""
        return ("arm", *(f"distance {place}" for place in range(self.farthest + 1)))

    def distance_rows(self) -> list[tuple[str, ...]]:
        """As `DISTANCES` says: a row an arm whose nodes hold states of their own."""
        places = range(self.farthest + 1)
        with_own = (arm for arm in self.arms if arm.distances)
        return [
            (arm.name, *(_cell(arm.distances.get(place), REPEATED, "bleu_worst") for place in places))
            for arm in with_own
        ]

    def words(self) -> str:
        """What the figures are."""
        once, repeated = self.passages.get(ONCE, 0), self.passages.get(REPEATED, 0)
        prompts = ", ".join(map(str, self.prompts))
        return (
            f"Part of the {repeated} repeated passages of a seed that the owner's state recites, word for word (exact) "
            f"or with BLEU {self.bleu:g} or more: mean over prompts of {prompts} tokens; at worst: of the length that "
            f"gets most; overlap: mean BLEU. Once: of the {once} that were there once. Others: of the repeated "
            "ones, by the other nodes' states; both BLEU at worst. Mean over the seeds [95% interval], without an "
            "interval where all seeds agree; test loss ± deviation; ε of one copy."
        )

    def faults(self) -> list[str]:
        """Runs without a result, a line each."""
        return [
            f"{arm.name}, seed {seed}: {fault.status}: {fault.message}"
            for arm in self.arms
            for seed, fault in arm.faults.items()
        ]

    def as_markdown(self) -> str:
        """Both tables, and what they are."""
        tables = (markdown_table(COLUMNS, self.rows()), markdown_table(self.distance_columns(), self.distance_rows()))
        faults = "".join(f"\n{line}\n" for line in self.faults())
        return f"{tables[0]}\n\n{self.words()}\n\n{tables[1]}\n\n{DISTANCES}\n{faults}"


def _rates_json(rates: Mapping[str, Rates]) -> dict[str, Any]:
    return {
        count: {
            name: {"mean": found.mean, "low": found.low, "high": found.high, "values": one.values[name]}
            for name, found in one.figures.items()
        }
        for count, one in rates.items()
    }


def _cell(rates: Mapping[str, Rates] | None, count: str, figure: str) -> str:
    found = None if rates is None or count not in rates else rates[count].figures[figure]
    if found is None or found.mean is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.mean:.2f}"
    # a part is no less than 0 and no more than 1, whatever Student says
    return f"{found.mean:.2f} [{max(0.0, found.low):.2f}, {min(1.0, found.high):.2f}]"


def _figure(value: float | None, std: float | None, places: int = 3) -> str:
    if value is None:
        return "–"
    return f"{value:.{places}f}" if std is None else f"{value:.{places}f} ± {std:.{places}f}"
