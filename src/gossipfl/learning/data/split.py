"""One dataset becomes the nodes' parts; every node computes the same split from the common seed.

    iid        shuffled, equal parts
    dirichlet  of each group, node i gets a share p_i with p ~ Dir(α, …, α)
    shards     sorted by group, cut into n·s shards, s dealt to each node
    column     the node that a column's value belongs to

What is dealt are units: a person's records stay together, except by `column`, where the value alone decides.
Source of the Dirichlet split: Hsu, Qi & Brown (2019).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.experiment import SplitConfig
from gossipfl.core.rng import generator
from gossipfl.errors import DataError
from gossipfl.learning.data.stored_records import Known
from gossipfl.learning.data.units import group_units

Deal = Callable[[Sequence[str], int, SplitConfig, np.random.Generator], list[NDArray[np.int64]]]
"""(group of each item, number of nodes, configuration, rng) to the items of each node."""

_DRAWS = 1000
"""Dirichlet draws until `min_records` is met everywhere; then the wish is held to be out of reach."""


def split_records(
    records: Sequence[Known], config: SplitConfig, *, names: Sequence[str], seed: int
) -> dict[str, list[int]]:
    """Positions of each node's records, ascending.

    Args:
        names: all nodes, in any order.

    Guarantees:
        The parts are disjoint and cover all records, except that a `column` split with `values` leaves out the
        values it does not name. Equal on every node.

    Raises:
        DataError: fewer units than nodes, or a node would get nothing.
    """
    nodes = sorted(names)
    if config.kind == "column":
        return _by_column(records, config, nodes)
    units = group_units(records)
    if len(units) < len(nodes):
        raise DataError(f"data.split: {len(units)} units cannot be split over {len(nodes)} nodes")
    groups = [records[unit[0]].group for unit in units]
    parts = _DEALS[config.kind](groups, len(nodes), config, generator(seed, purpose="split"))
    return {node: sorted(row for item in part for row in units[item]) for node, part in zip(nodes, parts, strict=True)}


def deal_iid(
    groups: Sequence[str], nodes: int, _config: SplitConfig, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Shuffled, then cut into parts whose sizes differ by one at most."""
    return np.array_split(rng.permutation(len(groups)), nodes)


def deal_dirichlet(
    groups: Sequence[str], nodes: int, config: SplitConfig, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Each group in shares of its own; drawn again until every node has `min_records` items."""
    members = [np.flatnonzero(np.asarray(groups) == group) for group in sorted(set(groups))]
    for _ in range(_DRAWS):
        parts = _draw_shares(members, nodes, config.dirichlet_alpha, rng)
        if min(map(len, parts)) >= config.min_records:
            return parts
    raise DataError(
        f"data.split.min_records: no Dirichlet({config.dirichlet_alpha}) split of {len(groups)} units "
        f"in {_DRAWS} draws left every one of {nodes} nodes {config.min_records}"
    )


def _draw_shares(
    members: Sequence[NDArray[np.int64]], nodes: int, alpha: float, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    pieces = []
    for group in members:
        cuts = np.cumsum(rng.dirichlet(np.full(nodes, alpha)))[:-1]
        pieces.append(np.split(rng.permutation(group), np.rint(cuts * len(group)).astype(np.int64)))
    return [np.concatenate(part) for part in zip(*pieces, strict=True)]


def deal_shards(
    groups: Sequence[str], nodes: int, config: SplitConfig, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Most nodes see `shards_per_node` groups only."""
    count = nodes * config.shards_per_node
    if len(groups) < count:
        raise DataError(f"data.split.shards_per_node: {len(groups)} units cannot be cut into {count} shards")
    shuffled = rng.permutation(len(groups))
    by_group = shuffled[np.argsort(np.asarray(groups)[shuffled], kind="stable")]
    shards = np.array_split(by_group, count)
    dealt = np.array_split(rng.permutation(count), nodes)
    return [np.concatenate([shards[shard] for shard in hand]) for hand in dealt]


_DEALS: Mapping[str, Deal] = {"iid": deal_iid, "dirichlet": deal_dirichlet, "shards": deal_shards}


def _by_column(records: Sequence[Known], config: SplitConfig, nodes: Sequence[str]) -> dict[str, list[int]]:
    owner = _owners(sorted({record.group for record in records}), config, nodes)
    parts: dict[str, list[int]] = {node: [] for node in nodes}
    for row, record in enumerate(records):
        if record.group in owner:
            parts[owner[record.group]].append(row)
    empty = [node for node in nodes if not parts[node]]
    if empty:
        raise DataError(f"data.split: column {config.column!r} leaves node {empty[0]!r} no record")
    return parts


def _owners(values: Sequence[str], config: SplitConfig, nodes: Sequence[str]) -> dict[str, str]:
    """The node of each value: as `config.values` says, else dealt in turn."""
    if not config.values:
        return {value: nodes[turn % len(nodes)] for turn, value in enumerate(values)}
    owner: dict[str, str] = {}
    for node, wished in config.values.items():
        if node not in nodes:
            raise DataError(f"data.split.values: {node!r} is no node; the nodes are {', '.join(nodes)}")
        for value in wished:
            if value not in values:
                raise DataError(f"data.split.values: column {config.column!r} has no value {value!r}")
            if value in owner:
                raise DataError(f"data.split.values: {value!r} is given to {owner[value]!r} and to {node!r}")
            owner[value] = node
    return owner
