"""The account belongs to the data: whoever comes back with known records goes on with what they have spent."""

import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gossipfl.core.messages import Receipt
from gossipfl.errors import BudgetSpentError, LedgerError, PrivacyError
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.ledger import LedgerAccount, open_account
from gossipfl.privacy.ledger_chain import Charged
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.spent import charged_before, spent

STEP = Charge(0.04, 1.0)
BASE = AccountRequest(
    tags=(),
    delta=1e-5,
    accountant="rdp",
    target_epsilon=None,
    public=False,
    new_account=None,
    run="run",
    node="a",
)


def tags(*names: str) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(name.encode()).digest() for name in names)


def opened(path: Path, *names: str, run: str = "run", target: float | None = None) -> LedgerAccount:
    return open_account(path, replace(BASE, tags=tags(*names), run=run, target_epsilon=target))


def test_a_charge_is_in_the_file_when_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with opened(path, "x") as account:
        receipt = account.charge(Charge(0.04, 1.0, steps=3))
        assert (receipt.steps, receipt.charges, receipt.delta) == (3, 1, 1e-5)
        (summary,) = spent(path)
        assert (summary.steps, summary.charges, summary.records) == (3, 1, 1)
        assert summary.epsilon == pytest.approx(epsilon([Charge(0.04, 1.0, 3)], 1e-5, "rdp"))


def test_a_receipt_states_exact_epsilon_and_that_of_a_charge_is_never_below(tmp_path: Path) -> None:
    with open_account(tmp_path / "l", replace(BASE, tags=tags("x"), accountant="prv", target_epsilon=2.0)) as account:
        for _ in range(5):
            bound = account.charge(STEP).epsilon
            exact = epsilon(account.charges(), 1e-5, "prv")
            assert account.receipt().epsilon == account.epsilon(1e-5) == exact
            assert exact <= bound <= 2.0


def test_charges_of_known_data_are_continued_by_any_run(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x", "y", run="first") as account:
        account.charge(STEP)
    for names in (("x", "y"), ("y",), ("y", "z")):
        with opened(path, *names, run="second") as account:
            assert account.charges() == (STEP,)
    with opened(path, "other") as account:
        assert account.charges() == ()


def test_data_that_is_appended_starts_its_own_account(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x", "y", run="first") as account:
        account.charge(Charge(0.04, 1.0, 100))
    with opened(path, "x", "y", "z", run="second") as account:
        receipt = account.charge(STEP)
        assert receipt.epsilon == pytest.approx(epsilon([Charge(0.04, 1.0, 101)], 1e-5, "rdp"))
        assert (receipt.steps, receipt.charges) == (101, 2)
    old, new = spent(path)
    assert (old.steps, old.records, old.charges) == (101, 2, 2)
    assert (new.steps, new.records, new.charges) == (1, 1, 1)
    assert new.epsilon == pytest.approx(epsilon([STEP], 1e-5, "rdp"))
    with opened(path, "z", run="third") as account:
        assert account.charges() == (STEP,), "what was there before costs the new data nothing"
        account.charge(STEP)
    assert [summary.steps for summary in spent(path)] == [101, 2]
    with opened(path, "y", "z", run="third") as account:
        assert account.receipt().steps == 102


def test_appended_data_can_train_alone_when_the_old_has_spent_its_target(tmp_path: Path) -> None:
    path, target = tmp_path / "l", epsilon([Charge(0.04, 1.0, 3)], 1e-5, "rdp")
    with opened(path, "x", target=target) as account:
        account.charge(Charge(0.04, 1.0, 3))
    with opened(path, "x", "z", target=target) as account:
        with pytest.raises(BudgetSpentError):
            account.charge(STEP)
        assert account.receipt().charges == 1, "nobody was charged"
    with opened(path, "z", target=target) as account:
        account.charge(Charge(0.04, 1.0, 3))


def test_data_that_touches_two_accounts_is_charged_to_both(tmp_path: Path) -> None:
    path, more = tmp_path / "l", Charge(0.1, 2.0)
    with opened(path, "x") as x, opened(path, "y") as y:
        x.charge(STEP)
        y.charge(Charge(0.04, 1.0, 2))
        with opened(path, "x", "y") as both:
            both.charge(more)
            assert both.charges() == (Charge(0.04, 1.0, 3), more)
            assert both.receipt().epsilon == pytest.approx(epsilon([Charge(0.04, 1.0, 2), more], 1e-5, "rdp"))
            both.require(both.receipt())
        assert x.charges() == (STEP, Charge(0.04, 1.0, 2), more)[::2], "also for those who are at it"
        assert y.charges() == (Charge(0.04, 1.0, 2), more)
    assert [summary.charges for summary in spent(path)] == [2, 2]


def test_a_service_that_started_afresh_goes_on_with_what_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x", run="old") as account:
        account.charge(STEP)
    again = replace(BASE, run="new", new_account="consent was asked anew")
    for names in (("x",), ("x", "z"), ("x", "z")):
        with open_account(path, replace(again, tags=tags(*names))) as account:
            account.charge(STEP)
    assert [summary.steps for summary in spent(path)] == [1, 3, 2]


@pytest.mark.parametrize("level", ["example", "update"])
def test_a_service_that_started_afresh_keeps_its_charges_when_older_data_comes_back(tmp_path: Path, level: str) -> None:
    path = tmp_path / "l"
    # where data is opened as one it becomes one account, and that bears the lowest number: the old one's
    person = [tags("x", "y")] if level == "example" else ()
    with open_account(path, replace(BASE, tags=tags("x", "y"), level=level, run="old")) as account:
        account.charge(STEP)
    again = replace(BASE, run="new", new_account="consent was asked anew", level=level)
    with open_account(path, replace(again, tags=tags("x"))) as account:
        account.charge(STEP)
    for steps in (3, 4, 5):
        with open_account(path, replace(again, tags=tags("x", "y"), units=person)) as account:
            account.charge(STEP)
            assert account.receipt().steps == steps


def test_a_fresh_account_pays_for_what_another_process_goes_on_to_train_on_its_data(tmp_path: Path) -> None:
    path = tmp_path / "l"
    fresh = replace(BASE, tags=tags("x"), new_account="reason")
    with opened(path, "x", "y", run="first") as account, opened(path, "other") as other:
        account.charge(STEP)
        open_account(path, replace(fresh, run="second")).close()
        open_account(path, replace(fresh, run="third")).close()
        before = account.head
        receipt = account.charge(STEP)
        account.require(receipt)
        other.charge(STEP)
        assert account.head > before
        assert charged_before(path, tags("x")) == ((STEP,),), "not what was before it"
        assert charged_before(path, tags("y")) == ((Charge(0.04, 1.0, 2),),)
        assert charged_before(path, tags("other")) == ((STEP,),)
    with opened(path, "y", run="fourth") as account:
        account.charge(STEP)
    assert charged_before(path, tags("x")) == ((STEP,),), "whoever comes later trains on y alone"


def test_data_of_a_fresh_account_at_another_level_is_not_trained_on_any_more(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x", run="first") as account:
        account.charge(STEP)
        with at_level(path, "update", "x", reason="other level") as fresh:
            fresh.charge(STEP)
        with pytest.raises(PrivacyError, match="was charged at level update"):
            account.charge(STEP)


def test_epsilon_of_a_run_does_not_fall_when_some_of_its_data_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x", run="before") as account:
        account.charge(Charge(0.04, 1.0, 100))
    with opened(path, "x", "z") as account:
        before = account.charge(STEP)
    with opened(path, "z") as resumed:
        assert resumed.receipt().epsilon == resumed.epsilon(1e-5) == before.epsilon, "its state tells of x"
        assert resumed.charge(STEP).epsilon == before.epsilon
        assert resumed.charges_before() == ((),), "but x is not what it trains on"
    with open_account(path, replace(BASE, tags=tags("z"), node="b")) as another:
        assert another.receipt().epsilon < before.epsilon, "a node that never had x"
    with opened(path, "z", run="next") as another:
        assert another.receipt().epsilon < before.epsilon, "a run that never had x"
    fresh = replace(BASE, tags=tags("x", "z"), new_account="reason")
    with open_account(path, fresh) as account:
        assert account.receipt().epsilon == 0, "what was before it is excused for ever"
    with open_account(path, replace(fresh, tags=tags("z"))) as account:
        assert account.receipt().epsilon == 0


def test_data_that_a_run_has_only_looked_at_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x", run="before") as account:
        account.charge(STEP)
    opened(path, "x", "z").close()
    with opened(path, "z") as resumed:
        assert resumed.receipt().epsilon == 0, "nothing of x is in its state"


def test_epsilon_of_a_run_does_not_fall_when_what_is_gone_has_become_part_of_another_account(tmp_path: Path) -> None:
    path = tmp_path / "l"
    at_level(path, "update", "x").close()
    with open_account(path, replace(BASE, tags=tags("y"), level="update", run="second")) as account:
        before = account.charge(STEP).epsilon
    at_level(path, "update", "x", "y").close()
    with open_account(path, replace(BASE, tags=tags("z"), level="update", run="second")) as resumed:
        assert resumed.receipt().epsilon == before


def test_a_state_that_was_trained_on_dropped_data_too_stays_covered(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x") as account:
        account.charge(Charge(0.04, 1.0, 5))
    with opened(path, "x", "z") as account:
        receipt = account.charge(STEP)
    with opened(path, "z") as account:
        account.require(receipt)


def test_charges_before_leave_out_this_run(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x", run="first") as account:
        account.charge(STEP)
    with opened(path, "x", run="second") as account:
        account.charge(STEP)
        assert account.charges_before() == ((STEP,),)
    with opened(path, "x", run="second") as resumed:
        assert resumed.charges_before() == ((STEP,),)
    assert charged_before(path, tags("x")) == ((Charge(0.04, 1.0, 2),),)
    assert charged_before(path, tags("x"), run="second") == ((STEP,),)
    assert charged_before(tmp_path / "none", tags("x")) == ((),)


def test_a_charge_beyond_the_target_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "l"
    target = epsilon([Charge(0.04, 1.0, 3)], 1e-5, "rdp")
    with opened(path, "x", target=target) as account:
        receipts = [account.charge(STEP) for _ in range(3)]
        with pytest.raises(BudgetSpentError, match="target_epsilon"):
            account.charge(STEP)
        assert account.receipt() == receipts[-1]
        assert receipts[-1].epsilon == pytest.approx(target, rel=1e-12), "a target met exactly is met"
    assert spent(path)[0].charges == 3


def test_the_target_counts_all_runs_on_the_data(tmp_path: Path) -> None:
    path = tmp_path / "l"
    target = epsilon([Charge(0.04, 1.0, 3)], 1e-5, "rdp")
    with (
        opened(path, "x", target=target, run="first") as first,
        opened(path, "x", target=target, run="second") as other,
    ):
        first.charge(STEP)
        other.charge(STEP)
        first.charge(STEP)
        for account in (first, other):
            with pytest.raises(BudgetSpentError):
                account.charge(STEP)


def test_an_account_can_be_used_from_several_threads(tmp_path: Path) -> None:
    with opened(tmp_path / "l", "x") as account, ThreadPoolExecutor(4) as pool:
        for receipt in pool.map(lambda _: account.charge(STEP), range(40)):
            account.require(receipt)
            assert account.receipt().charges >= receipt.charges
        assert account.head == (40, account.receipt().head)
        assert account.charges() == (Charge(0.04, 1.0, 40),)


@pytest.mark.parametrize("records", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_any_part_of_very_much_data_is_known_again(tmp_path: Path, records: int) -> None:
    path = tmp_path / "l"
    everything = tags(*map(str, range(records)))
    with open_account(path, replace(BASE, tags=everything)) as account:
        account.charge(STEP)
    for known in (everything[-1:], everything[:: records // 5000]):
        with open_account(path, replace(BASE, tags=(*known, *tags("new")))) as account:
            assert account.charges() == (STEP,)
    assert [summary.records for summary in spent(path)] == [records, 1]


def test_a_charge_without_noise_makes_epsilon_infinite(tmp_path: Path) -> None:
    with opened(tmp_path / "l", "x") as account:
        assert account.charge(Charge(1.0, 0.0)).epsilon == float("inf")
        assert spent(tmp_path / "l")[0].epsilon == float("inf")


def test_a_new_account_on_unknown_data_is_refused_for_the_next_start_would_forget_this_one(tmp_path: Path) -> None:
    fresh = replace(BASE, tags=tags("x"), new_account="consent renewed")
    with pytest.raises(PrivacyError, match="the ledger knows none of this: leave it out"):
        open_account(tmp_path / "l", fresh)
    with open_account(tmp_path / "l", replace(fresh, new_account=None)) as account:
        account.charge(STEP)
    for _ in range(2):
        with open_account(tmp_path / "l", replace(fresh, run="again")) as account:
            account.charge(STEP)
    assert [one.steps for one in spent(tmp_path / "l")] == [1, 2], "restarted by the same words it goes on"


def test_a_new_account_on_known_data_keeps_its_reason_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x", "y") as account:
        account.charge(STEP)
    fresh = replace(BASE, tags=tags("x"), new_account="consent renewed", run="second")
    with open_account(path, fresh) as account:
        assert account.charges() == ()
        account.charge(STEP)
    old, new = spent(path)
    assert (new.reasons, new.replaces) == (("consent renewed",), (old.account,))
    with open_account(path, fresh) as restarted:
        assert restarted.charges() == (STEP,), "the same run with the same command line goes on"
    with opened(path, "x", run="third") as account:
        assert account.charges() == (STEP,)
    with opened(path, "x", "y", run="fourth") as account:
        assert account.charges() == (Charge(0.04, 1.0, 2),), "y still belongs to the old account"
    assert [summary.reasons for summary in spent(path)] == [(), ("consent renewed",)]


def test_the_summary_says_public_only_when_every_run_did(tmp_path: Path) -> None:
    path = tmp_path / "l"
    public = replace(BASE, tags=tags("x"), public=True)
    open_account(path, public).close()
    assert spent(path)[0].public
    open_account(path, replace(public, public=False)).close()
    open_account(path, public).close()
    assert not spent(path)[0].public


def test_the_summary_states_the_smallest_delta_ever_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "l"
    for delta in (1e-4, 1e-6, 1e-3):
        with open_account(path, replace(BASE, tags=tags("x"), delta=delta)) as account:
            assert account.charge(STEP).delta == delta
    (summary,) = spent(path)
    assert summary.delta == 1e-6
    assert summary.epsilon == pytest.approx(epsilon([Charge(0.04, 1.0, 3)], 1e-6, "rdp"))


def test_the_head_grows_with_the_charges_of_all_accounts_and_with_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x") as account:
        assert account.head == (0, "")
        first = account.charge(STEP)
        assert account.head == (1, first.head)
    with opened(path, "x", "y") as again, opened(path, "z") as other:
        assert again.head == (1, first.head), "opening and joining do not move it"
        second = other.charge(STEP)
        assert (second.charges, second.steps) == (2, 1)
        assert again.receipt().charges == 2


def test_a_receipt_is_covered_only_by_the_ledger_that_gave_it(tmp_path: Path) -> None:
    with opened(tmp_path / "a", "x") as account, opened(tmp_path / "b", "x") as other:
        first = account.charge(STEP)
        account.charge(STEP)
        account.require(Receipt())
        account.require(first)
        account.require(replace(first, steps=0, epsilon=9.0))
        with pytest.raises(PrivacyError, match="names 3 charges, the ledger holds 2"):
            account.require(replace(first, charges=3))
        with pytest.raises(PrivacyError, match="names 3 steps, the ledger has charged 2"):
            account.require(replace(first, steps=3))
        with pytest.raises(PrivacyError, match="names 1 steps, the ledger has charged 0"):
            account.require(Receipt(steps=1))
        other.charge(STEP)
        with pytest.raises(PrivacyError, match="another head"):
            other.require(first)


def test_a_state_trained_before_a_new_account_stays_covered(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x") as account:
        receipt = account.charge(STEP)
    with open_account(path, replace(BASE, tags=tags("x"), run="next", new_account="reason")) as fresh:
        fresh.require(receipt)


def test_the_ledger_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "l"
    with opened(path, "x") as account:
        account.charge(STEP)
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_the_ledger_holds_no_fingerprint_of_a_record(tmp_path: Path) -> None:
    path = tmp_path / "l"
    opened(path, "x").close()
    assert tags("x")[0] not in path.read_bytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tags": ()}, "at least one record"),
        ({"delta": 0.0}, "delta"),
        ({"target_epsilon": float("nan")}, "target_epsilon"),
        ({"new_account": " "}, "needs a reason"),
    ],
)
def test_a_request_without_sense_makes_no_ledger(tmp_path: Path, change: dict[str, object], says: str) -> None:
    with pytest.raises(PrivacyError, match=says):
        open_account(tmp_path / "l", replace(BASE, **{"tags": tags("x"), **change}))  # type: ignore[arg-type]
    assert not any(tmp_path.iterdir())


def test_a_charge_of_no_steps_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "l", "x") as account, pytest.raises(PrivacyError, match="at least one step"):
        account.charge(Charge(0.1, 1.0, 0))


def test_a_missing_ledger_cannot_be_shown(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="does not exist"):
        spent(tmp_path / "l")
    assert not any(tmp_path.iterdir())


def test_a_ledger_in_a_read_only_folder_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x") as account:
        account.charge(STEP)
    tmp_path.chmod(0o500)
    try:
        assert spent(path)[0].charges == 1
    finally:
        tmp_path.chmod(0o700)


def test_without_privacy_nothing_is_kept_and_epsilon_is_infinite() -> None:
    account = FreeAccount()
    receipt = account.charge(Charge(1.0, 0.0, 5))
    assert (receipt.steps, receipt.epsilon, account.charges()) == (5, float("inf"), ())
    account.require(receipt)
    account.require(Receipt())
    with pytest.raises(PrivacyError, match="level is none"):
        account.require(replace(receipt, epsilon=1.0))


# ---- units ----

PERSON = tags("person", "x", "y")
"""Her own tag, and those of two records."""


def by_name(path: Path, *names: str, run: str = "run") -> LedgerAccount:
    person = (PERSON[0], *(tag for tag in PERSON[1:] if tag in tags(*names)))
    return open_account(path, replace(BASE, tags=(*tags(*names), PERSON[0]), units=[person], run=run))


def test_steps_that_took_two_records_of_a_person_cost_her_more_than_each_of_them(tmp_path: Path) -> None:
    """Where all are taken, both of hers move the sum by 2C: what was charged for a record is not her ε."""
    path, step = tmp_path / "l", Charge(1.0, 2.0)
    with opened(path, "x", "y") as account:
        charged = account.charge(step).epsilon
    assert charged < epsilon([Charge(1.0, 1.0)], 1e-5, "rdp"), "half the noise over twice the norm"
    message = r"was charged for every record by itself, and data\.unit makes 2 of them one.*--new-account REASON"
    with pytest.raises(PrivacyError, match=message):
        by_name(path, "x", "y")
    with pytest.raises(PrivacyError, match=message):
        charged_before(path, tags("x", "y"), units=[PERSON], level="example")
    fresh = replace(BASE, tags=tags("x", "y"), units=[PERSON], run="next", new_account="persons from now on")
    for _ in range(2):
        with open_account(path, fresh) as account:
            account.charge(step)
    by_name(path, "x", "y", run="third").close()


def test_persons_that_have_become_part_of_an_older_account_are_persons_there(tmp_path: Path) -> None:
    path = tmp_path / "l"
    opened(path, "y").close()
    with by_name(path, "x") as account:
        account.charge(STEP)
    by_name(path, "x", "y").close()
    assert len(spent(path)) == 1
    with pytest.raises(PrivacyError, match=r"without data\.unit"):
        opened(path, "y")


def test_records_that_became_one_account_before_they_were_charged_took_part_together(tmp_path: Path) -> None:
    path = tmp_path / "l"
    for name in ("x", "y"):
        opened(path, name).close()
    by_name(path, "x", "y").close()
    with opened(path, "x", "y") as account:
        account.charge(STEP)
    with pytest.raises(PrivacyError, match=r"data\.unit makes 2 of them one"):
        by_name(path, "x", "y")


def test_what_is_known_of_a_unit_alone_is_charged_too(tmp_path: Path) -> None:
    path = tmp_path / "l"
    opened(path, "y").close()
    with open_account(path, replace(BASE, tags=tags("x"), units=[PERSON])) as account:
        account.charge(STEP)
    assert charged_before(path, tags("x")) == charged_before(path, tags("y")) == ((STEP,),)


def test_equal_records_of_a_person_are_several(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x") as account:
        account.charge(STEP)
    twice = [tags("person", "x", "x")]
    with pytest.raises(PrivacyError, match=r"data\.unit makes 2 of them one"):
        open_account(path, replace(BASE, tags=tags("person", "x"), units=twice))


def test_a_person_of_one_record_goes_on_whoever_says_who_she_is(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with opened(path, "x", "other") as account:
        account.charge(STEP)
    for steps in (2, 3):
        with by_name(path, "x", "y", "other") as account:
            account.charge(STEP)
            assert account.receipt().steps == steps
    assert charged_before(path, tags("y")) == ((Charge(0.04, 1.0, 3),),)


def test_records_of_a_person_that_were_never_charged_together_become_hers(tmp_path: Path) -> None:
    path = tmp_path / "l"
    for name in ("x", "y"):
        with opened(path, name) as account:
            account.charge(STEP)
    for steps in (3, 4):
        with by_name(path, "x", "y") as account:
            account.charge(STEP)
            assert account.charges() == (Charge(0.04, 1.0, steps),)
            assert account.receipt().epsilon == pytest.approx(epsilon(account.charges(), 1e-5, "rdp")), "all of them"


def test_a_record_is_not_charged_by_itself_where_persons_were(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with by_name(path, "x", "y") as account:
        account.charge(STEP)
    with pytest.raises(PrivacyError, match=r"all records of one data\.unit together, and without data\.unit"):
        opened(path, "x")
    with pytest.raises(PrivacyError, match=r"without data\.unit"):
        charged_before(path, tags("x"), level="example")


@pytest.mark.parametrize("first", ["record", "name"])
def test_of_two_that_open_an_account_at_once_for_other_units_the_first_to_charge_decides(
    tmp_path: Path, first: str
) -> None:
    path = tmp_path / "l"
    with opened(path, "x", "y") as records, by_name(path, "x", "y") as names:
        one, other = (records, names) if first == "record" else (names, records)
        one.charge(STEP)
        with pytest.raises(PrivacyError, match="was charged for"):
            other.charge(STEP)
        assert one.charge(STEP).charges == 2


def test_charges_that_do_not_say_their_unit_are_gone_on_with(tmp_path: Path) -> None:
    """As older versions wrote them, and as it is where all data is one unit."""
    path = tmp_path / "l"
    with at_level(path, "update", "x") as account:
        account.charge(STEP)
    (charged,) = [entry.happening for entry in LedgerStore(path).history() if isinstance(entry.happening, Charged)]
    assert charged.unit is None


# ---- levels ----


def at_level(path: Path, level: str, *names: str, reason: str | None = None) -> LedgerAccount:
    return open_account(path, replace(BASE, tags=tags(*names), level=level, new_account=reason))


def test_where_all_data_is_one_unit_what_its_parts_have_spent_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "l"
    for name in ("x", "y"):
        with at_level(path, "update", name) as account:
            account.charge(STEP)
    assert charged_before(path, tags("x", "y"), level="update") == ((Charge(0.04, 1.0, 2),),)
    with open_account(path, replace(BASE, tags=tags("x", "y"), level="update", run="next")) as account:
        assert account.charges_before() == ((Charge(0.04, 1.0, 2),),)


@pytest.mark.parametrize(("first", "second"), [("example", "update"), ("update", "example")])
def test_epsilons_that_protect_different_things_never_meet_in_one_account(
    tmp_path: Path, first: str, second: str
) -> None:
    path = tmp_path / "l"
    with at_level(path, first, "x", "y") as account:
        account.charge(STEP)
    message = f"privacy.level {second}: account 1 of these records was charged at level {first}, .*--new-account REASON"
    with pytest.raises(PrivacyError, match=message):
        at_level(path, second, "y", "z")
    with pytest.raises(PrivacyError, match=message):
        charged_before(path, tags("y"), level=second)
    assert charged_before(path, tags("y"), level=first) == ((STEP,),)
    with at_level(path, second, "y", reason="other level") as fresh:
        fresh.charge(STEP)
    with pytest.raises(PrivacyError, match="account 1 of these records was charged"):
        at_level(path, second, "x")
    assert [summary.level for summary in spent(path)] == [first, second]


def test_of_two_that_open_an_account_at_once_at_different_levels_the_first_to_charge_decides(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with at_level(path, "example", "x") as one, at_level(path, "update", "x") as other:
        other.charge(STEP)
        with pytest.raises(PrivacyError, match="was charged at level update"):
            one.charge(STEP)
        other.charge(STEP)
        assert (one.receipt().charges, other.receipt().charges) == (2, 2)


def test_what_is_spent_says_by_which_mechanism(tmp_path: Path) -> None:
    mechanisms = {}
    for level in ("example", "update"):
        with at_level(tmp_path / level, level, "x") as account:
            assert spent(tmp_path / level)[0].mechanism == ""
            account.charge(STEP)
        mechanisms[level] = spent(tmp_path / level)[0].mechanism
    assert "DP-SGD" in mechanisms["example"]
    assert "one unit" in mechanisms["example"]
    assert "clipped update of a phase" in mechanisms["update"]
    assert "all data of the node" in mechanisms["update"]
