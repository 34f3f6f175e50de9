from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.experiment import SplitConfig
from gossipfl.errors import DataError
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.split import split_records

KINDS = ("iid", "dirichlet", "shards", "column")
NAMES = ("a", "b", "c")


def records_of(groups: Sequence[str], units: Sequence[str] | None = None) -> list[Record]:
    names: Sequence[str | None] = units or [None] * len(groups)
    return [
        Record(f"text {row}", group=group, unit=unit)
        for row, (group, unit) in enumerate(zip(groups, names, strict=True))
    ]


def config_of(kind: str, **more: Any) -> SplitConfig:
    return SplitConfig.model_validate(
        {"kind": kind, "column": "group", "dirichlet_alpha": 1.0, "min_records": 1, **more}
    )


@given(
    kind=st.sampled_from(KINDS),
    groups=st.lists(st.sampled_from("uvwxyz"), min_size=20, max_size=60).filter(lambda groups: len(set(groups)) > 2),
    seed=st.integers(0, 2**31),
)
def test_parts_are_disjoint_cover_everything_and_are_equal_on_every_node(
    kind: str, groups: list[str], seed: int
) -> None:
    records = records_of(groups)

    parts = split_records(records, config_of(kind), names=NAMES, seed=seed)

    assert sorted(row for part in parts.values() for row in part) == list(range(len(records)))
    assert min(map(len, parts.values())) > 0
    assert parts == split_records(records, config_of(kind), names=NAMES[::-1], seed=seed)


@given(
    kind=st.sampled_from(KINDS[:3]),
    persons=st.lists(st.sampled_from("pqrstuvwxyz"), min_size=40, max_size=60).filter(lambda p: len(set(p)) > 7),
)
def test_the_records_of_one_person_stay_at_one_node(kind: str, persons: list[str]) -> None:
    records = records_of(["g"] * len(persons), persons)

    parts = split_records(records, config_of(kind), names=NAMES, seed=0)

    homes = [{records[row].unit for row in part} for part in parts.values()]
    assert sum(map(len, homes)) == len(set(persons))


def test_another_seed_is_another_split() -> None:
    records = records_of(["g"] * 40)

    assert split_records(records, config_of("iid"), names=NAMES, seed=0) != split_records(
        records, config_of("iid"), names=NAMES, seed=1
    )


def test_a_small_alpha_leaves_a_node_few_classes() -> None:
    records = records_of([group for group in "uvwxy" for _ in range(200)])

    parts = split_records(records, config_of("dirichlet", dirichlet_alpha=0.05), names=NAMES, seed=3)

    shares = [max(sum(records[row].group == g for row in part) / len(part) for g in "uvwxy") for part in parts.values()]
    assert max(shares) > 0.5


def test_shards_give_a_node_that_many_groups_at_most() -> None:
    records = records_of([group for group in "uvwxyz" for _ in range(10)])

    parts = split_records(records, config_of("shards", shards_per_node=2), names=NAMES, seed=0)

    assert [len({records[row].group for row in part}) for part in parts.values()] == [2, 2, 2]


def test_a_column_decides_as_its_values_say_and_leaves_the_others_out() -> None:
    records = records_of("uvwxuv")

    parts = split_records(
        records, config_of("column", values={"a": ["u"], "b": ["v"], "c": ["x"]}), names=NAMES, seed=0
    )

    assert parts == {"a": [0, 4], "b": [1, 5], "c": [3]}


@pytest.mark.parametrize(
    ("config", "groups", "message"),
    [
        (config_of("iid"), "uv", "2 units cannot be split over 3 nodes"),
        (config_of("shards", shards_per_node=4), "uvwxyz", "6 units cannot be cut into 12 shards"),
        (config_of("dirichlet", min_records=9), "uvwxyz" * 3, "data.split.min_records"),
        (config_of("column"), "uv" * 5, "leaves node 'c' no record"),
        (config_of("column", values={"d": ["u"]}), "uvw", "'d' is no node; the nodes are a, b, c"),
        (config_of("column", values={"a": ["q"]}), "uvw", "column 'group' has no value 'q'"),
        (config_of("column", values={"a": ["u"], "b": ["u"]}), "uvw", "'u' is given to 'a' and to 'b'"),
    ],
)
def test_a_split_that_cannot_be_is_refused(config: SplitConfig, groups: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_records(records_of(groups), config, names=NAMES, seed=0)
