"""Exceptions as exit codes and lines."""

import errno

import click
import pytest

from gossipfl.cli.faults import Fault, fault_of
from gossipfl.errors import ConfigError, GossipflError, HandshakeError


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ConfigError("a: 1, should be 2"), Fault(2, "a: 1, should be 2")),
        (HandshakeError("another model", peer="a", reason="fingerprint"), Fault(1, "another model")),
        (GossipflError("other"), Fault(1, "other")),
        (click.UsageError("no such option"), Fault(2, "no such option")),
        (click.exceptions.Exit(3), Fault(3)),
        (KeyboardInterrupt(), Fault(130)),
        (click.Abort(), Fault(130)),
        (BrokenPipeError(errno.EPIPE, "gone"), Fault(1)),
        (ValueError("ours"), None),
        (FileNotFoundError(errno.ENOENT, "ours"), None),
    ],
)
def test_a_kind_of_error_has_its_fault(error: BaseException, fault: Fault | None) -> None:
    assert fault_of(error) == fault


def test_a_full_disk_is_the_users_and_names_the_file() -> None:
    fault = fault_of(OSError(errno.ENOSPC, "No space left on device", "state/a.tmp"))
    assert fault is not None
    assert fault.exit_code == 2
    assert "state/a.tmp" in fault.message


def test_a_group_is_its_user_error_unless_a_bug_is_in_it() -> None:
    user, peer = ConfigError("a: 1, should be 2"), GossipflError("other")
    inner = BaseExceptionGroup("inner", [peer, user])
    assert fault_of(BaseExceptionGroup("tasks", [inner, KeyboardInterrupt()])) == Fault(2, "a: 1, should be 2")
    assert fault_of(BaseExceptionGroup("tasks", [KeyboardInterrupt(), peer])) == Fault(130)
    assert fault_of(BaseExceptionGroup("tasks", [user, ValueError("ours")])) is None
