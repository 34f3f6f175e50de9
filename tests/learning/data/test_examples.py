import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.learning.data.content import IGNORED, TokenRows
from gossipfl.learning.data.examples import Examples
from gossipfl.learning.data.tokens import Tokens
from gossipfl.privacy.rows import Rows

PAD = 99


def examples_of(units: list[list[int]], *, classes: bool = True) -> Examples:
    """Units of rows of these lengths; every token of row r is r + 1."""
    lengths = np.array([length for unit in units for length in unit])
    tokens = Tokens(
        ids=np.repeat(np.arange(len(lengths)) + 1, lengths).astype(np.int32),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        loss_from=np.minimum(1, lengths - 1),
    )
    content = TokenRows(tokens, labels=np.arange(len(lengths)) if classes else None, pad=PAD)
    return Examples(content, unit_starts=np.cumsum([0, *map(len, units)]))


def rows_in(batch: Rows) -> list[list[int]]:
    """Which rows each unit of a micro-batch holds, by the tokens in them."""
    ids = batch.tensors["input_ids"][:, 0] - 1
    return [ids[batch.unit == unit].tolist() for unit in range(batch.units)]


UNITS = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=12)


@given(lengths=UNITS, micro_batch=st.integers(1, 6), data=st.data())
def test_every_wished_unit_comes_whole_and_once(
    lengths: list[list[int]], micro_batch: int, data: st.DataObject
) -> None:
    examples = examples_of(lengths)
    wished = data.draw(st.lists(st.integers(0, len(lengths) - 1), unique=True))

    batches = list(examples.load(np.array(wished, np.int64), micro_batch))

    owned = [list(range(*examples.unit_starts[unit : unit + 2])) for unit in wished]
    assert sorted(rows for batch in batches for rows in rows_in(batch)) == sorted(owned)
    assert all(batch.count <= micro_batch or batch.units == 1 for batch in batches)


@given(lengths=UNITS, micro_batch=st.integers(1, 6))
def test_evaluation_sees_every_row_once_and_in_order(lengths: list[list[int]], micro_batch: int) -> None:
    examples = examples_of(lengths)

    batches = list(examples.rows_in_order(micro_batch))

    assert [row for batch in batches for unit in rows_in(batch) for row in unit] == list(range(examples.rows))
    assert all(batch.count <= micro_batch for batch in batches)


def test_rows_are_padded_to_the_longest_of_their_micro_batch_only() -> None:
    examples = examples_of([[2], [7], [1], [6]])

    widths = [batch.tensors["input_ids"].shape[1] for batch in examples.load(np.arange(4), 2)]

    assert widths == [2, 7]


def test_padding_counts_neither_for_attention_nor_for_the_loss() -> None:
    (batch,) = examples_of([[2], [3]], classes=False).rows_in_order(2)

    assert batch.tensors["input_ids"].tolist() == [[1, 1, PAD], [2, 2, 2]]
    assert batch.tensors["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch.tensors["labels"].tolist() == [[IGNORED, 1, IGNORED], [IGNORED, 2, 2]]


@pytest.mark.parametrize("classes", [True, False])
def test_no_unit_is_no_batch(*, classes: bool) -> None:
    assert list(examples_of([[2]], classes=classes).load(np.array([], np.int64), 4)) == []
