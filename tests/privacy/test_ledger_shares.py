"""Where old records are drawn more seldom than new ones, each account is charged at the rate of its own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.privacy.test_ledger import BASE, tags

from gossipfl.errors import BudgetSpentError, PrivacyError
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.ledger import LedgerAccount, open_account
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.spent import spent

STEP = Charge(0.2, 1.0)


def request(shares: Mapping[str, float], *, run: str = "run", target: float | None = None) -> AccountRequest:
    by_tag = {tags(name)[0]: share for name, share in shares.items() if share < 1}
    return replace(BASE, tags=tags(*shares), shares=by_tag, run=run, target_epsilon=target)


def test_data_taken_in_while_a_run_goes_on_pays_for_what_it_takes_part_in(tmp_path: Path) -> None:
    with open_account(tmp_path / "l", request({"old": 1.0})) as account:
        account.charge(replace(STEP, steps=10))
        account.take_in(request({"old": 0.25, "new": 1.0}))
        receipt = account.charge(replace(STEP, steps=10))
        account.require(receipt)
    old, new = spent(tmp_path / "l")
    assert old.epsilon == pytest.approx(epsilon([Charge(0.2, 1.0, 10), Charge(0.05, 1.0, 10)], 1e-5, "rdp"))
    assert new.epsilon == pytest.approx(epsilon([Charge(0.2, 1.0, 10)], 1e-5, "rdp"))
    assert receipt.epsilon >= old.epsilon > new.epsilon
    assert receipt.steps == 10 + 2 * 10, "a step that pays at two rates counts once for each"


def test_what_is_not_drawn_any_more_pays_nothing_and_is_stated_all_the_same(tmp_path: Path) -> None:
    with open_account(tmp_path / "l", request({"old": 1.0})) as account:
        before = account.charge(replace(STEP, steps=50)).epsilon
        account.take_in(request({"old": 0.0, "new": 1.0}))
        after = account.charge(STEP)
        assert after.epsilon >= account.receipt().epsilon >= before * (1 - 1e-9)
    assert [one.steps for one in spent(tmp_path / "l")] == [50, 1]


def test_spent_data_does_not_keep_new_data_from_training_alone(tmp_path: Path) -> None:
    target = epsilon([replace(STEP, steps=10)], 1e-5, "rdp")
    with open_account(tmp_path / "l", request({"old": 1.0}, target=target)) as account:
        account.charge(replace(STEP, steps=10))
        with pytest.raises(BudgetSpentError):
            account.charge(STEP)
        account.take_in(request({"old": 0.0, "new": 1.0}, target=target))
        account.charge(STEP)
        account.take_in(request({"old": 0.25, "new": 1.0}, target=target))
        with pytest.raises(BudgetSpentError):
            account.charge(STEP)
    assert [one.steps for one in spent(tmp_path / "l")] == [10, 1], "a refused step charges nobody"


def test_records_of_one_account_pay_for_those_of_them_that_are_drawn_most(tmp_path: Path) -> None:
    with open_account(tmp_path / "l", request({"x": 1.0, "y": 0.5})) as account:
        account.charge(STEP)
    with open_account(tmp_path / "l", request({"x": 0.0, "y": 0.5, "z": 1.0}, run="other")) as account:
        account.charge(STEP)
    first, second = spent(tmp_path / "l")
    assert first.epsilon == pytest.approx(epsilon([STEP, Charge(0.1, 1.0)], 1e-5, "rdp"))
    assert second.epsilon == pytest.approx(epsilon([STEP], 1e-5, "rdp"))


def test_what_cannot_be_taken_in_leaves_the_account_as_it_was(tmp_path: Path) -> None:
    with open_account(tmp_path / "l", replace(BASE, tags=tags("u"), run="by update", level="update")) as account:
        account.charge(Charge(1.0, 4.0))
    with open_account(tmp_path / "l", request({"old": 1.0})) as account:
        with pytest.raises(PrivacyError, match="level example"):
            account.take_in(request({"old": 1.0, "u": 1.0}))
        account.charge(STEP)
        before = account.take_in(request({"old": 1.0, "new": 1.0}))
        account.put_back(before)
        account.charge(STEP)
    assert [one.steps for one in spent(tmp_path / "l")] == [1, 2, 0]


def test_a_checkpoint_is_covered_when_data_that_paid_apart_is_gone(tmp_path: Path) -> None:
    with open_account(tmp_path / "l", request({"old": 0.5, "new": 1.0})) as account:
        pass
    with open_account(tmp_path / "l", request({"old": 0.5})) as account:
        account.take_in(request({"old": 0.5, "later": 1.0}))
        receipt = account.charge(STEP)
    with open_account(tmp_path / "l", request({"old": 1.0})) as account:
        account.require(receipt)
        assert account.receipt().epsilon >= epsilon([STEP], 1e-5, "rdp") * (1 - 1e-9), "its state tells of them"


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_records_that_were_drawn_into_the_same_steps_are_not_taken_for_one_persons(
    tmp_path: Path, share: float
) -> None:
    path = tmp_path / "l"
    with open_account(path, request({"first": 1.0})):
        pass
    with open_account(path, request({"first": share, "second": 1.0})) as account:
        account.charge(STEP)
        account.charge(STEP)
    hers = tags("ann", "first", "second")
    with pytest.raises(PrivacyError, match="every record by itself"):
        open_account(path, replace(BASE, tags=hers, units=[hers], run="by person"))


def test_records_that_were_drawn_in_steps_of_their_own_are_one_persons_who_pays_for_both(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with open_account(path, request({"first": 1.0})) as account:
        account.charge(STEP)
        account.take_in(request({"first": 0.0, "second": 1.0}))
        account.charge(replace(STEP, sample_rate=0.1))
    hers = tags("ann", "first", "second")
    with open_account(path, replace(BASE, tags=hers, units=[hers], run="by person")) as account:
        assert account.epsilon(1e-5) >= epsilon([STEP, Charge(0.1, 1.0)], 1e-5, "rdp") * (1 - 1e-9)


def test_nothing_starts_afresh_when_data_is_taken_in(tmp_path: Path) -> None:
    with open_account(tmp_path / "l", replace(request({"old": 1.0}), run="before")):
        pass
    with open_account(tmp_path / "l", replace(request({"old": 1.0}), new_account="consent renewed")) as account:
        paid = account.charge(replace(STEP, steps=50))
        account.take_in(replace(request({"old": 1.0, "new": 1.0}), new_account="consent renewed"))
        assert account.receipt().epsilon >= paid.epsilon * (1 - 1e-9)
        account.require(paid)
    assert [one.steps for one in spent(tmp_path / "l")] == [0, 50, 0]


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.0, 0.25, 1.0]), min_size=1), st.booleans()
        ),
        min_size=1,
        max_size=6,
    )
)
def test_no_record_ever_has_less_than_the_steps_it_was_drawn_in_cost(
    tmp_path_factory: pytest.TempPathFactory, happenings: list[tuple[dict[str, float], bool]]
) -> None:
    """Whatever is taken in when, at whatever shares, and however often the process is started anew."""
    path = tmp_path_factory.mktemp("ledger") / "l"
    true: dict[str, list[Charge]] = {name: [] for name in "abcd"}
    account: LedgerAccount | None = None
    try:
        for shares, restarts in happenings:
            if account is None or restarts:
                if account is not None:
                    account.close()
                account = open_account(path, request(shares))
            else:
                account.take_in(request(shares))
            if max(shares.values()):
                receipt = account.charge(STEP)
                for name, share in shares.items():
                    true[name] += [Charge(STEP.sample_rate * share, 1.0)] if share else []
                costs = [epsilon(charges, 1e-5, "rdp") for charges in true.values()]
                assert receipt.epsilon >= max(costs) * (1 - 1e-9), "of the run, data that is gone included"
        for name, charges in true.items():
            if charges:
                own = open_account(path, replace(request({name: 1.0}, run="reader"), node="reader"))
                assert own.epsilon(1e-5) >= epsilon(charges, 1e-5, "rdp") * (1 - 1e-9), name
                own.close()
    finally:
        if account is not None:
            account.close()
