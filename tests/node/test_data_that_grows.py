"""A node that watches its folder: new files are taken in between two phases, bad ones set aside; kills cost nothing."""

import os
from pathlib import Path

import pytest
from tests.forked import forked
from tests.node.conftest import Begin
from tests.node.growing import OLD_NS, PRIVATE, alive, put, watch
from tests.node.study import Study, make_study, records, wait_until

from gossipfl.cli.evaluated_text import history_json
from gossipfl.errors import DataError
from gossipfl.learning.data.folder import DataFile
from gossipfl.node.checking import check
from gossipfl.node.evaluating import Wanted
from gossipfl.node.evaluating_history import evaluate_history
from gossipfl.node.intake import SETTLED_S, is_settled
from gossipfl.node.periods import read_journal
from gossipfl.node.set_aside import set_aside_here
from gossipfl.privacy.ledger_link import read_ledger_link
from gossipfl.privacy.spent import AccountSummary, spent
from gossipfl.studies.fleet import Fleet


@pytest.fixture
def study(begin: Begin) -> Study:
    return watch(begin(names=("ada", "bob"), privacy=PRIVATE))


def accounts(study: Study) -> list[AccountSummary]:
    return list(spent(read_ledger_link(study.state("ada"))))


def steps(study: Study) -> list[int]:
    return [account.steps for account in accounts(study)]


def test_new_files_are_one_period_with_an_account_of_its_own(study: Study) -> None:
    with alive(study) as life:
        life.train()
        put(study, "b.jsonl", records(11))
        put(study, "c.jsonl", records(12))
        life.wake()
        life.train()
        row = life.parts.record.as_json()
    assert steps(study) == [4, 2], "what was there pays for all, what came for what it took part in"
    assert [[file.name for file in period.files] for period in read_journal(study.state("ada")).periods] == [
        ["first.jsonl"],
        ["b.jsonl", "c.jsonl"],
    ]
    assert (row["periods"], row["set_aside"]) == (2, {})


@pytest.mark.parametrize(
    ("continual", "expected"),
    [
        pytest.param("all", [4, 2], marks=pytest.mark.slow),
        ("newest", [2, 2]),
        pytest.param("replay", [4, 2], marks=pytest.mark.slow),
    ],
)
def test_what_is_not_drawn_is_not_charged(study: Study, continual: str, expected: list[int]) -> None:
    with alive(study, f"training.continual={continual}") as life:
        life.train()
        put(study, "b.jsonl", records(11, 20))
        life.wake()
        receipt = life.train().trained.receipt
        life.parts.bench.account.require(receipt)
        plan = life.parts.bench.plan
    said = check(study.peers, name="ada", overrides=(f"training.continual={continual}",)).plans["ada"]
    assert plan is not None
    assert (said.sample_rate, said.expected_batch) == (plan.sample_rate, plan.expected_batch)
    assert said.epsilon == pytest.approx(plan.epsilon)
    assert steps(study) == expected
    first, second = accounts(study)
    assert receipt.epsilon >= max(first.epsilon, second.epsilon) * (1 - 1e-9)


BAD = {
    "torn.jsonl": '{"text": "w1 w2", "label": "red"}\n{"text": "w1',
    "column.jsonl": '{"words": "w1 w2", "label": "red"}\n',
    "label.jsonl": '{"text": "w1 w2", "label": "violet"}\n',
    "binary.parquet": "\x00\x01",
    "empty.csv": "",
}


def test_files_that_cannot_be_used_are_set_aside_and_named_and_the_node_goes_on(
    study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    with alive(study) as life:
        life.train()
        for name, content in BAD.items():
            put(study, name, content)
        put(study, "good.jsonl", records(11))
        life.wake()
        assert life.train().trained.steps == 2
        aside = life.parts.record.as_json()["set_aside"]
        shown = repr(life.parts.record.status())
    assert set(aside) == set(BAD)
    assert "violet" in aside["label.jsonl"]
    assert "no column 'text'" in aside["column.jsonl"]
    assert all(f"{name} is set aside" in caplog.text for name in BAD)
    assert not any(word in shown for word in (*BAD, "violet", "periods")), "others are told nothing of it"
    assert steps(study) == [4, 2]


@pytest.mark.slow
def test_a_file_that_was_put_right_is_taken_in(study: Study) -> None:
    put(study, "b.jsonl", "nothing")
    with alive(study) as life:
        assert "b.jsonl" in life.parts.record.as_json()["set_aside"]
        life.train()
        put(study, "b.jsonl", records(11))
        life.wake()
        life.train()
        row = life.parts.record.as_json()
    assert (row["periods"], row["set_aside"]) == (2, {})


def test_a_folder_that_is_away_for_a_while_ends_no_node(study: Study, caplog: pytest.LogCaptureFixture) -> None:
    folder, away = study.folder / "data" / "ada", study.folder / "away"
    with alive(study) as life:
        life.train()
        folder.rename(away)
        life.wake()
        life.train()
        # nobody wakes it again
        away.rename(folder)
        put(study, "b.jsonl", records(11))
        life.train()
        life.train()
    assert [len(period.files) for period in read_journal(study.state("ada")).periods] == [1, 1]
    assert caplog.text.count("does not exist: what was taken in before is trained on") == 1


@pytest.mark.slow
def test_a_restarted_node_knows_its_periods_and_finds_what_came_meanwhile(study: Study) -> None:
    with alive(study) as life:
        life.train()
        put(study, "b.jsonl", records(11))
        life.wake()
        life.train()
        held_out = life.parts.bench.data.by_period
    put(study, "c.jsonl", records(12))
    with alive(study) as life:
        again = life.parts.bench.data.by_period
        assert [each.units for each in again] == [each.units for each in held_out]
        life.train()
        assert len(life.parts.bench.data.by_period) == 3
        assert [each.units for each in life.parts.bench.data.by_period[:2]] == [each.units for each in held_out]
    assert steps(study) == [6, 4, 2]


@pytest.mark.slow
def test_a_file_still_being_written_waits(study: Study) -> None:
    with alive(study) as life:
        life.train()
        path = put(study, "b.jsonl", records(11))
        os.utime(path)
        life.wake()
        life.train()
        assert life.parts.record.as_json()["periods"] == 1
        os.utime(path, ns=(OLD_NS, OLD_NS))
        life.train()
        assert life.parts.record.as_json()["periods"] == 2, "it is looked at again without anything happening"


def test_a_file_is_settled_when_nothing_was_written_for_a_while() -> None:
    file = DataFile("x.csv", 1, OLD_NS)
    assert not is_settled(file, OLD_NS + int(SETTLED_S * 1e9) - 1)
    assert is_settled(file, OLD_NS + int(SETTLED_S * 1e9))
    assert is_settled(file, OLD_NS - 1), "a disk whose clock is ahead does not hold data back"


def test_a_folder_with_nothing_that_can_be_used_is_a_mistake_that_names_the_files(study: Study) -> None:
    for path in (study.folder / "data" / "ada").iterdir():
        path.unlink()
    put(study, "label.jsonl", BAD["label.jsonl"])
    with pytest.raises(DataError, match="violet"), alive(study):
        pass


@pytest.mark.slow
def test_data_that_the_account_cannot_take_is_set_aside(study: Study) -> None:
    with alive(study, "privacy.target_delta=0.011") as life:
        life.train()
        put(study, "b.jsonl", records(11))
        life.wake()
        assert life.train().trained.steps == 2
        assert "target_delta" in life.parts.record.as_json()["set_aside"]["b.jsonl"]
    assert steps(study)[0] == 4


PHASES = 4000
"""Never reached: they are killed at the end."""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Study:
    """Two real nodes; one is given files while it runs, and killed each time; it ends by itself, told to stop."""
    folder = tmp_path_factory.mktemp("grown") / "study"
    training = {"phases": PHASES, "local_steps": 1, "evaluate_every": 1}
    study = watch(make_study(folder, tiny_model, names=("ada", "bob"), training=training, privacy=PRIVATE))
    jobs = {name: study.job(name) for name in study.names}

    def periods() -> int:
        return max((row["periods"] for row in study.rows("ada")), default=0)

    with Fleet(list(jobs.values()), launch=forked) as fleet:
        wait_until(lambda: periods() == 1 and study.phase("ada") > 1, fleet, what="ada trains")
        put(study, "b.jsonl", records(11))
        put(study, "label.jsonl", BAD["label.jsonl"])
        wait_until(lambda: periods() == 2, fleet, what="ada takes in what has come")
        fleet.kill("ada")
        put(study, "c.jsonl", records(12))
        fleet.start(jobs["ada"])
        wait_until(lambda: periods() == 3, fleet, what="ada finds what came meanwhile")
        fleet.kill("ada")
    return study


@pytest.mark.slow
def test_a_real_node_takes_in_what_comes_while_it_runs_and_while_it_is_dead(grown: Study) -> None:
    journal = read_journal(grown.state("ada"))
    assert [[file.name for file in period.files] for period in journal.periods] == [
        ["first.jsonl"],
        ["b.jsonl"],
        ["c.jsonl"],
    ]
    assert [each.file.name for each in journal.set_aside] == ["label.jsonl"]
    paid = [account.steps for account in accounts(grown)]
    assert paid[0] > paid[1] > paid[2] > 0


@pytest.mark.slow
def test_epsilon_of_a_killed_node_covers_its_state_and_never_falls(grown: Study) -> None:
    assert accounts(grown)[0].steps >= grown.saved("ada").snapshot.receipt.steps
    told = [row["epsilon"] for row in grown.rows("ada")]
    assert told == sorted(told)
    assert max(account.epsilon for account in accounts(grown)) >= told[-1] * (1 - 1e-9)


@pytest.mark.slow
def test_every_period_is_evaluated_and_what_is_forgotten_is_told(grown: Study) -> None:
    found = evaluate_history(Wanted(grown.peers, "ada"))
    assert [each.files for each in found] == [("first.jsonl",), ("b.jsonl",), ("c.jsonl",)]
    told = history_json(found)["periods"]
    assert {"loss", "accuracy", "examples", "macro_f1"} <= told[0]["now"].keys(), "flat, as gossipfl evaluate says them"
    for each in found[:-1]:
        assert each.now is not None
        assert each.now.accuracy is not None
        assert each.best is not None
        assert each.forgetting == pytest.approx(each.best - each.now.accuracy)
    assert found[-1].forgetting is None
    noted = [row["period_scores"] for row in grown.rows("ada") if row["period_scores"]]
    assert found[0].best == max(scores[0] for scores in noted)


@pytest.mark.slow
def test_what_is_set_aside_is_named_on_this_machine(study: Study) -> None:
    assert set_aside_here(study.peers) == {}
    put(study, "label.jsonl", BAD["label.jsonl"])
    with alive(study):
        pass
    (named,) = set_aside_here(study.peers).items()
    assert named[0] == "ada"
    assert "violet" in named[1]["label.jsonl"]
    away = study.folder / "away"
    (study.folder / "data" / "ada").rename(away)
    assert set_aside_here(study.peers) == {named[0]: named[1]}, "a folder that is away for a while"
    away.rename(study.folder / "data" / "ada")
    (study.folder / "data" / "ada" / "label.jsonl").unlink()
    assert set_aside_here(study.peers) == {}


def test_a_file_that_is_gone_is_no_longer_named(study: Study) -> None:
    put(study, "label.jsonl", BAD["label.jsonl"])
    with alive(study) as life:
        life.train()
        folder, away = study.folder / "data" / "ada", study.folder / "away"
        folder.rename(away)
        life.wake()
        life.train()
        away.rename(folder)
        assert "label.jsonl" in life.parts.record.as_json()["set_aside"], "a folder that is away says nothing of a file"
        (folder / "label.jsonl").unlink()
        life.wake()
        life.train()
        assert life.parts.record.as_json()["set_aside"] == {}
    assert read_journal(study.state("ada")).set_aside == ()


MOMENTS = {
    "before the ledger knows the records": ("gossipfl.learning.growing", "take_in"),
    "between ledger and journal": ("gossipfl.node.intake", "write_journal"),
    "between journal and charge": ("gossipfl.privacy.ledger.LedgerAccount", "charge"),
}


class Killed(BaseException):
    """In place of kill -9: what is not on the disk is gone."""


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_wherever_it_dies_nothing_is_spent_and_the_file_is_found_again(
    study: Study, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with alive(study) as life:
        life.train()
        before = steps(study)
        put(study, "b.jsonl", records(11))
        life.wake()
        owner, name = MOMENTS[moment]

        def die(*_: object, **__: object) -> None:
            raise Killed

        with monkeypatch.context() as patched:
            place = "gossipfl.node.intake.take_in" if name == "take_in" else f"{owner}.{name}"
            patched.setattr(place, die)
            with pytest.raises(Killed):
                life.train()
    assert [paid for paid in steps(study) if paid] == before
    with alive(study) as life:
        life.train()
        assert life.parts.record.as_json()["periods"] == 2
    assert [paid for paid in steps(study) if paid] == [before[0] + 2, 2]
