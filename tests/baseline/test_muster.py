"""Clients come in a fixed order, may go, and are not waited for without end."""

from collections.abc import Iterable

import pytest
from flwr.app import Message
from flwr.clientapp import ClientApp
from flwr.supercore.run import Run

from gossipfl.baseline.inprocess import MemoryGrid
from gossipfl.baseline.muster import Mustered
from gossipfl.errors import TrainingError


class Changing(MemoryGrid):
    """A grid in memory with other clients every time it is asked."""

    def __init__(self, *present: Iterable[int]) -> None:
        super().__init__(ClientApp(), 1)
        self._answers = list(map(list, present))

    def get_node_ids(self) -> Iterable[int]:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        del timeout
        return messages


def test_clients_come_in_the_nodes_order_and_unknown_ones_behind() -> None:
    assert list(Mustered(Changing([7, 3, 5, 9]), [9, 5, 3], 1).get_node_ids()) == [9, 5, 3, 7]


def test_between_two_sends_the_answer_stands() -> None:
    grid = Mustered(Changing([1, 2], [1, 2], [1], [1]), [], 1)
    assert [len(list(grid.get_node_ids())) for _ in range(3)] == [2, 2, 2]
    grid.send_and_receive([])
    assert list(grid.get_node_ids()) == [1]


@pytest.mark.slow
def test_the_muster_waits_for_all() -> None:
    grid = Mustered(Changing([], [4], [4, 2]), [], 60)
    grid.wait_for(2)
    assert list(grid.get_node_ids()) == [2, 4]


def test_who_does_not_come_is_not_waited_for_without_end() -> None:
    with pytest.raises(TrainingError, match="1 of 2 clients were there after 0 s"):
        Mustered(Changing([1]), [], 0).wait_for(2)
    with pytest.raises(TrainingError, match="0 of 1 clients"):
        Mustered(Changing([]), [], 0).get_node_ids()


def test_everything_else_is_the_inner_grids() -> None:
    grid = Mustered(Changing([1]), [], 0)
    with pytest.raises(NotImplementedError, match="a grid in memory has no run"):
        assert grid.run
    with pytest.raises(NotImplementedError, match="a grid in memory has no run"):
        grid.set_run(Run.create_empty(1))
    assert list(grid.push_messages([])) == []
    assert list(grid.pull_messages(["1"])) == []
