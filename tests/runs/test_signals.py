"""The first signal unwinds the stack, the others are ignored until everything is put away."""

import os
import signal
from collections.abc import Iterator

import pytest

from gossipfl.runs.signals import ENDINGS, handling, undisturbed, unwound_once


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """Whoever runs the tests may ignore some: in the background, under nohup."""
    with (
        handling([signal.SIGINT], signal.default_int_handler),
        handling([signal.SIGTERM, signal.SIGHUP], signal.SIG_DFL),
    ):
        yield


def twice(number: signal.Signals, then: list[signal.Signals]) -> None:
    """A signal in an inner context, and others while the outer one puts its things away."""
    with unwound_once():
        try:
            with unwound_once():
                os.kill(os.getpid(), number)
        finally:
            while then:
                os.kill(os.getpid(), then.pop())


@pytest.mark.parametrize("number", ENDINGS)
def test_a_second_signal_is_ignored_after_an_inner_context_too(number: signal.Signals) -> None:
    before, then = [signal.getsignal(each) for each in ENDINGS], list(ENDINGS)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        twice(number, then)
    assert then == []
    assert [signal.getsignal(each) for each in ENDINGS] == before


def test_undisturbed_nothing_ends_us() -> None:
    with unwound_once(), undisturbed():
        for number in ENDINGS:
            os.kill(os.getpid(), number)


def test_under_nohup_a_terminal_may_be_closed() -> None:
    with handling([signal.SIGHUP], signal.SIG_IGN), unwound_once():
        os.kill(os.getpid(), signal.SIGHUP)
