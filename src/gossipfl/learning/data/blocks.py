"""Records are tokenized a block at a time: all in one call take some 200 bytes a token meanwhile, and 4 bytes stay."""

from collections.abc import Iterator, Sequence

import numpy as np

from gossipfl.learning.data.content import Content, Flat
from gossipfl.learning.data.kinds import DataKind, Reading
from gossipfl.learning.data.mapped import MappedArray
from gossipfl.learning.data.record import Record

CHARACTERS_AT_ONCE, RECORDS_AT_ONCE = 2**20, 1024
"""Of records that are tokenized together: what bounds memory."""


def blocks(records: Sequence[Record]) -> Iterator[list[Record]]:
    """The records in their order, in lists that are short both in records and in characters."""
    block: list[Record] = []
    characters = 0
    for record in records:
        block.append(record)
        characters += len(record.text) + len(record.prompt or "") + sum(map(len, record.choices))
        if characters >= CHARACTERS_AT_ONCE or len(block) >= RECORDS_AT_ONCE:
            yield block
            block, characters = [], 0
    if block:
        yield block


def rows_in_memory(kind: DataKind, records: Sequence[Record], reading: Reading) -> Content:
    """What `kind.rows` makes of the records, tokenized block by block.

    Guarantees:
        What is handed out is bit for bit what `kind.rows` hands out.

    Raises:
        DataError: see `kind.rows`.
    """
    if kind.flat is None or len(records) <= RECORDS_AT_ONCE:
        return kind.rows(records, reading)
    made = [flat_rows(kind.flat, kind, block, reading).parts() for block in blocks(records)]
    joined = {name: np.concatenate([parts[name] for parts in made]) for name in made[0]}
    arrays = {name: MappedArray([values], np.array([len(values)])) for name, values in joined.items()}
    return kind.flat.of_parts(arrays, reading.pad)


def flat_rows(flat: type[Flat], kind: DataKind, block: Sequence[Record], reading: Reading) -> Flat:
    """The rows of a block, which those of others can be joined to."""
    rows = kind.rows(block, reading)
    if not isinstance(rows, flat):
        raise TypeError(f"{kind} makes {type(rows).__name__}, not {flat.__name__}")
    return rows
