"""The processes of `gossipfl advise`."""

import math
import os
from pathlib import Path
from typing import Any, cast

import pytest

from gossipfl.errors import GossipflError
from gossipfl.studies.advise_grid import Combination
from gossipfl.studies.advise_race import Entry
from gossipfl.studies.advise_runs import Ask, Notebook, Racers


class Deadly:
    """Ends the process that unpacks it, as a kill would."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_a_process_that_is_killed_is_said_in_one_line_with_the_way_on(tmp_path: Path) -> None:
    ask = Ask(Combination("base:1", "sync", "fp32"), 0, math.inf)
    notebook = Notebook(tmp_path / "one", "question", resume=False)
    with Racers(1, notebook) as racers, pytest.raises(GossipflError, match=r"killed.*/one --resume") as raised:
        list(racers.run([ask], lambda *_: cast("Entry", Deadly())))
    assert "\n" not in str(raised.value)
    # what was under way is done again
    assert Notebook(tmp_path / "one", "question", resume=True).known(ask) is None
