"""ε of every record never falls, whatever is opened, charged, merged, closed and opened again."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.errors import BudgetSpentError, PrivacyError
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.ledger import LedgerAccount, open_account
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.spent import charged_before, spent

DELTA = 1e-5
NAMES = range(6)
NOISES = (0.8, 1.0, 3.0)
TAGS = {name: hashlib.sha256(bytes([name])).digest() for name in NAMES}
PERSONS = {unit: hashlib.sha256(bytes([9, *unit])).digest() for unit in ((0, 1), (2, 3), (4, 5))}

opening = st.tuples(st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), st.sampled_from(["first", "second"]))
charging = st.tuples(st.integers(0, 3), st.sampled_from(NOISES))
actions = st.lists(st.one_of(opening, charging, st.integers(0, 3)), min_size=1, max_size=14)
afresh = st.frozensets(st.sampled_from(NAMES), min_size=1, max_size=3)
actions_afresh = st.lists(st.one_of(opening, afresh, charging, charging), min_size=3, max_size=14)


UNITS = ((0, 1), (2, 3), (4, 5))
"""Three people with two records each."""


def request(
    names: set[int], run: str, target: float | None = None, level: str = "example", *, people: bool = False
) -> AccountRequest:
    """With people, they are known by name too, and the records of each belong together."""
    tags = [TAGS[name] for name in sorted(names)]
    units = [[PERSONS[unit], *(TAGS[name] for name in unit if name in names)] for unit in UNITS if names & {*unit}]
    known = [*tags, *(unit[0] for unit in units)] if people else tags
    return AccountRequest(
        known, DELTA, "rdp", target, False, None, run, "a", level=level, units=units if people else ()
    )


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def epsilons(path: Path) -> dict[int, float]:
    return {name: max(epsilon(past, DELTA, "rdp") for past in charged_before(path, [TAGS[name]])) for name in NAMES}


class World:
    """Some accounts open at once, and for each record the charges of steps it can have taken part in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open: list[tuple[set[int], LedgerAccount]] = []
        self.took_part: dict[int, list[Charge]] = {name: [] for name in NAMES}

    def do(self, action: tuple[set[int], str] | frozenset[int] | tuple[int, float] | int) -> None:
        match action:
            case frozenset() as names:
                known = any(names & others for others, _ in self.open)
                fresh = replace(request(set(names), f"run {len(self.open)}"), new_account="a reason" if known else None)
                self.open.append((set(names), open_account(self.path, fresh)))
                # what was before it is excused, and nothing that comes after
                self.took_part |= {name: [] for name in names}
            case (set() as names, str(run)):
                self.open.append((names, open_account(self.path, request(names, run))))
            case (int(which), float(noise)) if self.open:
                names, account = self.open[which % len(self.open)]
                account.charge(Charge(0.1, noise))
                for name in names:
                    self.took_part[name].append(Charge(0.1, noise))
            case int(which) if self.open:
                self.open.pop(which % len(self.open))[1].close()

    def close(self) -> None:
        for _, account in self.open:
            account.close()


@settings(max_examples=25, deadline=None)
@given(actions)
def test_epsilon_of_a_record_never_falls_and_covers_every_step_it_took_part_in(
    steps: list[tuple[set[int], str] | tuple[int, float] | int],
) -> None:
    with folder() as place:
        world = World(place / "l")
        before = dict.fromkeys(NAMES, 0.0)
        try:
            for action in steps:
                world.do(action)
                after = epsilons(world.path)
                for name in NAMES:
                    assert after[name] >= before[name]
                    assert after[name] >= epsilon(world.took_part[name], DELTA, "rdp")
                before = after
        finally:
            world.close()


@settings(max_examples=40, deadline=None)
@given(actions_afresh)
def test_epsilon_of_a_record_covers_every_step_since_its_account_was_started(
    steps: list[tuple[set[int], str] | frozenset[int] | tuple[int, float]],
) -> None:
    """Whoever is at it when a fresh account is started on its data."""
    with folder() as place:
        world = World(place / "l")
        try:
            for action in steps:
                world.do(action)
                after = epsilons(world.path) if world.path.exists() else dict.fromkeys(NAMES, 0.0)
                for name in NAMES:
                    assert after[name] >= epsilon(world.took_part[name], DELTA, "rdp")
        finally:
            world.close()


@settings(max_examples=25, deadline=None)
@given(actions)
def test_a_head_never_falls_and_stays_equal_for_equal_charges(
    steps: list[tuple[set[int], str] | tuple[int, float] | int],
) -> None:
    with folder() as place:
        world, hashes = World(place / "l"), dict[int, str]()
        try:
            for action in steps:
                world.do(action)
                for _, account in world.open:
                    receipt = account.receipt()
                    assert hashes.setdefault(receipt.charges, receipt.head) == receipt.head
                    assert receipt.charges == max(hashes)
                    account.require(receipt)
        finally:
            world.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(charging, max_size=6))
def test_a_merged_account_costs_at_least_each_part(charges: list[tuple[int, float]]) -> None:
    """Where all data is one unit, data that is opened together becomes one account."""
    with folder() as place:
        path = place / "l"
        accounts = [open_account(path, request({name}, "run", level="update")) for name in range(4)]
        for which, noise in charges:
            accounts[which].charge(Charge(0.1, noise))
        parts = [account.receipt() for account in accounts]
        for account in accounts:
            account.close()
        with open_account(path, request({0, 1, 2, 3}, "run", level="update")) as whole:
            receipt = whole.receipt()
        assert receipt.epsilon >= max(part.epsilon for part in parts)
        assert receipt.steps == sum(part.steps for part in parts) == len(charges)
        assert len(spent(path)) == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(charging, max_size=6), st.lists(st.sampled_from(NOISES), max_size=4))
def test_accounts_that_pay_together_cost_what_the_one_that_paid_most_costs(
    charges: list[tuple[int, float]], together: list[float]
) -> None:
    """And the data that is appended starts at nothing."""
    with folder() as place:
        path = place / "l"
        paid: dict[int, list[Charge]] = {name: [] for name in range(5)}
        for which, noise in charges:
            with open_account(path, request({which}, "before")) as account:
                account.charge(Charge(0.1, noise))
            paid[which].append(Charge(0.1, noise))
        with open_account(path, request({0, 1, 2, 3, 4}, "run")) as whole:
            for noise in together:
                whole.charge(Charge(0.1, noise))
            receipt = whole.receipt()
            whole.require(receipt)
        for name in paid:
            paid[name] += [Charge(0.1, noise) for noise in together]
        assert epsilons(path)[4] == epsilon([Charge(0.1, noise) for noise in together], DELTA, "rdp")
        for name, past in paid.items():
            assert epsilons(path)[name] == pytest.approx(epsilon(past, DELTA, "rdp"))
        assert receipt.epsilon == pytest.approx(max(epsilon(past, DELTA, "rdp") for past in paid.values()))
        assert receipt.steps == len(charges) + len(together)


@settings(max_examples=40, deadline=None)
@given(
    # of few records a run by record often has no two of one person
    st.lists(
        st.tuples(st.sets(st.sampled_from(NAMES), min_size=1, max_size=2), st.booleans(), st.sampled_from(NOISES)),
        max_size=6,
    )
)
def test_epsilon_of_a_person_covers_every_step_that_took_any_of_her_records(
    runs: list[tuple[set[int], bool, float]],
) -> None:
    """Also when it is said only later whose a record is, and hers lie in several accounts by then.

    Two of her records in one step that was charged by record are another matter: that charge is not hers.
    """
    with folder() as place:
        path = place / "l"
        done: list[tuple[set[int], bool, float]] = []
        for number, (names, people, noise) in enumerate(runs):
            try:
                with open_account(path, request(names, f"run {number}", people=people)) as account:
                    account.charge(Charge(0.1, noise))
            except PrivacyError:
                assert (not people) in {other for _, other, _ in done}, "there are charges of the other kind"
            else:
                done.append((names, people, noise))
        last = request({*NAMES}, "last", people=True)
        try:
            foreseen = charged_before(path, last.tags, units=last.units, run="last", level="example")
        except PrivacyError:
            assert any(not people for _, people, _ in done)
            with pytest.raises(PrivacyError, match=r"data\.unit makes 2 of them one"):
                open_account(path, last)
            return
        assert not any({*unit} <= names and not people for names, people, _ in done for unit in UNITS)
        with open_account(path, last) as account:
            assert set(account.charges_before()) == set(foreseen), "`check` says what the run will find"
        for unit in UNITS:
            (past,) = charged_before(path, [PERSONS[unit], *(TAGS[name] for name in unit)])
            hers = [Charge(0.1, noise) for names, _, noise in done if names & {*unit}]
            assert epsilon(past, DELTA, "rdp") >= epsilon(hers, DELTA, "rdp") * (1 - 1e-12)
        # a restart is let in as the run was
        with open_account(path, last) as account:
            account.charge(Charge(0.1, 1.0))
        open_account(path, last).close()


@settings(max_examples=15, deadline=None)
@given(st.floats(0.5, 4.0), st.lists(st.sampled_from(NOISES), min_size=5, max_size=30))
def test_a_target_is_never_exceeded_and_a_refusal_is_right(target: float, noises: list[float]) -> None:
    with folder() as place, open_account(place / "l", request({0}, "run", target)) as account:
        for noise in noises:
            before = account.charges()
            after = epsilon([*before, Charge(0.1, noise)], DELTA, "rdp")
            try:
                account.charge(Charge(0.1, noise))
            except BudgetSpentError:
                assert after > target
                assert account.charges() == before
            else:
                assert after <= target * (1 + 1e-9)
