"""kill -9 at any moment never lowers ε: what a process was told is charged stays charged."""

import multiprocessing
import random
import signal
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path

from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.ledger import open_account
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.spent import charged_before, spent

FORK = multiprocessing.get_context("fork")  # a fresh interpreter would take seconds to import everything
CHARGING, CHARGED = b"0", b"1"


def charge_again_and_again(path: Path, run: str, charges: int, tell: Connection) -> None:
    account = open_account(path, AccountRequest([b"x"], 1e-5, "rdp", None, False, None, run, "a"))
    for _ in range(charges):
        tell.send_bytes(CHARGING)
        account.charge(Charge(0.01, 2.0))
        tell.send_bytes(CHARGED)


def child(path: Path, run: str, charges: int) -> tuple[ForkProcess, Connection]:
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=charge_again_and_again, args=(path, run, charges, theirs))
    process.start()
    theirs.close()
    return process, ours


def all_said(told: Connection) -> list[bytes]:
    said = []
    try:
        while True:
            said.append(told.recv_bytes())
    except (EOFError, OSError):  # the signal may have cut a word short
        return said


def test_a_killed_process_leaves_at_least_the_charges_it_was_told_of(tmp_path: Path) -> None:
    path, rng = tmp_path / "l", random.Random(7)  # noqa: S311  # moments, not secrets
    said: list[bytes] = []
    before = 0.0
    for run in range(12):
        process, told = child(path, str(run), 1_000_000)
        said += [told.recv_bytes() for _ in range(rng.randrange(1, 60))]
        process.kill()
        said += all_said(told)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        (summary,) = spent(path)
        assert said.count(CHARGED) <= summary.charges <= said.count(CHARGING)
        after = epsilon(charged_before(path, [b"x"])[0], 1e-5, "rdp")
        assert after >= before
        before = after


def test_a_process_killed_while_it_opens_leaves_a_ledger_that_opens(tmp_path: Path) -> None:
    path, rng = tmp_path / "l", random.Random(3)  # noqa: S311
    for _ in range(12):
        process, _told = child(path, "run", 0)
        process.join(rng.random() * 0.02)
        process.kill()
        process.join()
        open_account(path, AccountRequest([b"x"], 1e-5, "rdp", None, False, None, "run", "a")).close()
        assert len(spent(path)) == 1


def test_processes_that_charge_at_once_lose_nothing(tmp_path: Path) -> None:
    path, each = tmp_path / "l", 40
    children = [child(path, str(run), each) for run in range(3)]
    for process, told in children:
        assert all_said(told).count(CHARGED) == each
        process.join()
        assert process.exitcode == 0
    (summary,) = spent(path)
    assert summary.charges == summary.steps == 3 * each
