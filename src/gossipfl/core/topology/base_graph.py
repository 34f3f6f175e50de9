"""The Base-(k+1) graph: rounds of at most k peers a node, whose product is the exact average, for any n.

    hyper_hypercube   n = f_1 · … · f_L, every f ≤ k+1: round l averages within groups of f_l        L rounds
    simple            n = Σ a_l (k+1)^p_l, digits a_l ≤ k, p_1 > p_2 > …: parts V_l of a_l blocks of (k+1)^p_l nodes
                        gather   every V_l averages itself
                        hand     for l = 1, 2, …: each node behind V_l meets one of each block of V_l; the weights make
                                 what lies behind V_l, and every block of V_l, the mean of all
                        spread   the blocks of V_l average themselves, while the next part hands
                      |hyper_hypercube(V_1)| + 1 + p_1 rounds
    base              n = p · q, p the largest divisor that hyper_hypercube can: simple on p groups of q, then
                      hyper_hypercube across the groups; or simple on all, if that is shorter

A node whose values would only meet equal ones rests instead: of the paper's edges these are left out.

Source: Takezawa et al. (2023), Beyond exponential graph, arXiv 2305.11420, algorithms 1 to 3.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

Edges = list[tuple[int, int, float]]
"""One round: (u, v, w) with W_uv = W_vu = w; what is left of 1 is a node's own weight."""
Nodes = Sequence[int]


def base_graph(nodes: int, degree: int) -> list[Edges]:
    """The rounds of one period, at most 2·log_{k+1}(n) + 2, on the nodes 0 … n−1.

    Args:
        degree: k, peers a node meets in a round at most.

    Guarantees:
        Every round's matrix is symmetric and doubly stochastic; the product over the period is 11ᵀ/n.
    """
    smooth = _largest_smooth_divisor(nodes, degree + 1)
    rest = nodes // smooth
    groups = [range(first, first + rest) for first in range(0, nodes, rest)]
    across = [range(first, nodes, rest) for first in range(rest)]
    composed = _beside(_simple(group, degree) for group in groups) + _beside(
        hyper_hypercube(members, degree) for members in across
    )
    simple = _simple(range(nodes), degree)
    return simple if len(simple) < len(composed) else composed


def hyper_hypercube(members: Nodes, degree: int) -> list[Edges]:
    """The rounds that average `members`, whose number has no prime factor above degree + 1."""
    factors = shortest_factors(len(members), degree + 1)
    strides = itertools.accumulate(factors, lambda stride, factor: stride * factor, initial=1)
    return [
        [edge for group in _groups(members, stride, factor) for edge in _clique(group)]
        for stride, factor in zip(strides, factors, strict=False)
    ]


@lru_cache(maxsize=4096)
def shortest_factors(number: int, largest: int) -> tuple[int, ...]:
    """As few factors from 2 to `largest` as make the number; () for 1.

    Raises:
        ValueError: a prime factor is larger.
    """
    if number == 1:
        return ()
    if _largest_smooth_divisor(number, largest) < number:
        raise ValueError(f"{number} has a prime factor above {largest}")
    factors = [factor for factor in range(min(number, largest), 1, -1) if number % factor == 0]
    return min(((factor, *shortest_factors(number // factor, largest)) for factor in factors), key=len)


def _simple(members: Nodes, degree: int) -> list[Edges]:
    nodes = len(members)
    if _largest_smooth_divisor(nodes, degree + 1) == nodes:
        return hyper_hypercube(members, degree)
    parts = list(_parts(members, degree + 1))
    gather = _beside(hyper_hypercube(list(itertools.chain(*blocks)), degree) for blocks in parts)
    lanes = (
        [
            *_rests(place),
            _hand(blocks, parts[place + 1 :]),
            *_beside(hyper_hypercube(block, degree) for block in blocks),
        ]
        for place, blocks in enumerate(parts[:-1])
    )
    return gather + _beside(lanes)


def _hand(blocks: Sequence[Nodes], behind: Sequence[Sequence[Nodes]]) -> Edges:
    """Each node behind a part meets the node of its number in every block of it."""
    waiting = [node for part in behind for block in part for node in block]
    ahead = sum(map(len, blocks))
    weight = ahead / (ahead + len(waiting)) / len(blocks)
    return [(node, block[number], weight) for block in blocks for number, node in enumerate(waiting)]


def _parts(members: Nodes, base: int) -> Iterator[list[Nodes]]:
    """The blocks of every digit of the number of members, highest first."""
    first, size = 0, 1
    while size * base <= len(members):
        size *= base
    while size:
        digit = (len(members) - first) // size
        if digit:
            yield [members[first + size * block : first + size * (block + 1)] for block in range(digit)]
        first, size = first + digit * size, size // base


def _groups(members: Nodes, stride: int, factor: int) -> Iterator[Nodes]:
    """Members whose numbers differ in the digit of value `stride` only."""
    for start in range(0, len(members), stride * factor):
        for first in range(start, start + stride):
            yield members[first : first + stride * factor : stride]


def _clique(group: Nodes) -> Iterator[tuple[int, int, float]]:
    return ((u, v, 1 / len(group)) for u, v in itertools.combinations(group, 2))


def _beside(sequences: Iterable[list[Edges]]) -> list[Edges]:
    """Rounds of disjoint nodes at the same time; a shorter sequence rests at its end."""
    return [list(itertools.chain(*rounds)) for rounds in itertools.zip_longest(*sequences, fillvalue=[])]


def _rests(rounds: int) -> list[Edges]:
    return [[] for _ in range(rounds)]


def _largest_smooth_divisor(number: int, largest: int) -> int:
    """The largest divisor without a prime factor above `largest`."""
    rest = number
    for factor in range(2, min(largest, number) + 1):
        while rest % factor == 0:
            rest //= factor
    return number // rest
