"""When nodes are down: traces as files hold them."""

from pathlib import Path

import numpy as np
import pytest

from gossipfl.config.simulation import AvailabilityConfig
from gossipfl.errors import ConfigError
from gossipfl.sim.availability import Outage, Outages, trace

NAMES = ("n0", "n1")


def outages(folder: Path, *written: str) -> Outages:
    (folder / "trace.jsonl").write_text("\n".join(written))
    config = AvailabilityConfig(kind="trace", trace="trace.jsonl")
    return trace(config, NAMES, folder, np.random.default_rng(0))


def test_each_node_has_its_outages_in_the_order_of_time(tmp_path: Path) -> None:
    found = outages(
        tmp_path,
        '{"node": "n1", "from_s": 7, "until_s": 8}',
        '{"node": "n0", "from_s": 3, "until_s": 4}',
        "",
        '{"node": "n1", "from_s": 1, "until_s": 2}',
    )
    assert found("n1", 0.0) == Outage("n1", 1.0, 2.0)
    assert found("n1", 2.0) == Outage("n1", 7.0, 8.0)
    assert found("n1", 8.0) is None
    assert found("n0", 0.0) == Outage("n0", 3.0, 4.0)


def test_times_down_that_overlap_are_one(tmp_path: Path) -> None:
    found = outages(
        tmp_path,
        '{"node": "n0", "from_s": 3, "until_s": 8}',
        '{"node": "n0", "from_s": 1, "until_s": 5}',
        '{"node": "n0", "from_s": 2, "until_s": 3}',
        '{"node": "n1", "from_s": 1, "until_s": null}',
        '{"node": "n1", "from_s": 2, "until_s": 3}',
    )
    assert found("n0", 0.0) == Outage("n0", 1.0, 8.0)
    assert found("n0", 8.0) is None
    assert found("n1", 0.0) == Outage("n1", 1.0, None)


def test_a_node_goes_down_again_the_moment_it_comes_up_if_that_is_planned(tmp_path: Path) -> None:
    found = outages(tmp_path, '{"node": "n0", "from_s": 1, "until_s": 2}', '{"node": "n0", "from_s": 2, "until_s": 3}')
    assert found("n0", 2.0) == Outage("n0", 2.0, 3.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"node": "zeta", "from_s": 1, "until_s": 2}', "'zeta' is no node"),
        ('{"node": ["n0"], "from_s": 1, "until_s": 2}', "was expected"),
        ('{"node": "n0", "from_s": 1, "until": 2}', "was expected"),
        ('{"node": "n0", "from_s": "soon", "until_s": 2}', "was expected"),
        ('{"node": "n0", "from_s": NaN, "until_s": 2}', "was expected"),
        ('{"node": "n0", "from_s": 1, "until_s": Infinity}', "was expected"),
        ("0.5,n0,down", "was expected"),
        ('{"node": "n0", "from_s": 2, "until_s": 2}', "until_s has to lie after from_s"),
        ('{"node": "n0", "from_s": -1, "until_s": 2}', "from 0 on"),
    ],
)
def test_a_line_that_is_no_outage_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"trace\.jsonl: line 2: .*{said}") as error:
        outages(tmp_path, '{"node": "n0", "from_s": 1, "until_s": 2}', line)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.jsonl"):
        trace(AvailabilityConfig(kind="trace", trace="none.jsonl"), NAMES, tmp_path, np.random.default_rng(0))
