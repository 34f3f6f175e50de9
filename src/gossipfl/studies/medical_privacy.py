"""Private training without a server on medical definitions: ε by network by adapter, at equal local steps.

    HPO ── data/hpo-all-systems.jsonl ── compare ──> accuracy by ε; what it is worth not to be alone
                                      └─ audits ───> what ε is at least
    --rates: the learning rate of each adapter at each ε, on a seed that is not the study's

python -m gossipfl.studies.medical_privacy [--rates] [--adapters lora,core] [--jobs N] [--output DIR] [--resume]
"""

from pathlib import Path
from typing import NoReturn

from gossipfl.config.loading import LoadedExperiment
from gossipfl.studies.grid_study import Grid, Part, main_of
from gossipfl.studies.medical_privacy_arms import ADAPTERS, SEARCH_SEED, SEEDS, arms_of, candidates, extras_of
from gossipfl.studies.medical_privacy_audits import audit_arms, audit_table
from gossipfl.studies.medical_privacy_reading import reading

NAME = "medical-privacy"


def grid_of(adapters: tuple[str, ...] = ADAPTERS) -> Grid:
    """All arms of these adapters with three seeds, and the extras with the first of them."""
    grid = {arm.name: arm.as_config() for arm in arms_of(adapters)}
    extras = {arm.name: arm.as_config() for arm in extras_of(adapters)}
    parts = (Part(grid, SEEDS, "grid"), Part(extras, SEEDS[:1], "extras"))

    def beside(loaded: LoadedExperiment, output: Path) -> str:
        return audit_table(audit_arms(loaded, output, adapters))

    return Grid(parts, candidates(adapters), SEARCH_SEED, reading, beside)


def main() -> NoReturn:
    """Runs the study, or the search, once and prints its reading."""
    main_of(grid_of, name=NAME, adapters=ADAPTERS, description=__doc__)


if __name__ == "__main__":
    main()
