"""Topologies, adapters and codecs on medical definitions, all at equal local steps.

    HPO ── data/hpo-systems.jsonl ── compare ──> accuracy, bytes, steps to 90% of the best
    --rates: the learning rate of each adapter, on a seed that is not the study's

python -m gossipfl.studies.medical_choices [--rates] [--adapters lora,core] [--jobs N] [--output DIR] [--resume]
"""

from collections.abc import Sequence
from typing import NoReturn

from gossipfl.report.comparison import Comparison
from gossipfl.studies.grid_study import Grid, Part, main_of
from gossipfl.studies.medical_choices_arms import ADAPTERS, SEARCH_SEED, SEEDS, arms_of, candidates
from gossipfl.studies.medical_choices_reading import reading

NAME = "medical-choices"


def grid_of(adapters: tuple[str, ...] = ADAPTERS) -> Grid:
    """All arms of these adapters; a study that is gone on with may take more of them."""
    arms = {arm.name: arm.as_config() for arm in arms_of(adapters)}
    return Grid((Part(arms, SEEDS),), candidates(adapters), SEARCH_SEED, _read)


def _read(found: Sequence[Comparison]) -> str:
    return reading(found[0])


def main() -> NoReturn:
    """Runs the study, or the search, once and prints its reading."""
    main_of(grid_of, name=NAME, adapters=ADAPTERS, description=__doc__)


if __name__ == "__main__":
    main()
