import json
from pathlib import Path

import pytest

from gossipfl.cli.app import main
from gossipfl.net.certificates import make_trial_certificates
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.ledger import open_account
from gossipfl.privacy.ledger_link import write_ledger_link
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.pld import has_pld

PLAN = ["privacy", "plan", "--sample-rate", "0.1", "--steps", "100", "--delta", "1e-5"]


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_a_noise_gives_epsilon_by_both_accountants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PLAN, "--noise-multiplier", "1", "--json"]) == 0
    found = result(capsys)
    pld = {"pld": 7.047} if has_pld() else {}
    assert found["epsilon"] == pytest.approx({"rdp": 7.899, "prv": 7.057, **pld}, rel=0.01)
    assert found["noise_multiplier"] == 1.0


def test_an_epsilon_gives_the_noise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PLAN, "--target-epsilon", "4", "--json", "--accountant", "rdp"]) == 0
    found = result(capsys)
    assert isinstance(found["epsilon"], dict)
    assert 3.96 <= found["epsilon"]["rdp"] <= 4


def test_people_get_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PLAN, "--noise-multiplier", "1"]) == 0
    said = capsys.readouterr().out
    assert "ε = 7.057 by prv, 7.899 by rdp" in said
    assert ("7.047 by pld" if has_pld() else "pld is not installed: pip install 'gossipfl[pld]'") in said


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (PLAN, "one of the two"),
        ([*PLAN, "--noise-multiplier", "1", "--target-epsilon", "1"], "one of the two"),
        ([*PLAN, "--target-epsilon", "-1"], "above 0"),
        ([*PLAN, "--target-epsilon", "1e-9", "--accountant", "rdp"], "too small"),
        ([*PLAN, "--noise-multiplier", "-1"], "noise_multiplier"),
        ([*PLAN[:3], "1.5", *PLAN[4:], "--noise-multiplier", "1"], "sample_rate"),
        ([*PLAN[:-1], "2", "--noise-multiplier", "1"], "delta"),
        ([*PLAN, "--target-epsilon", "1", "--accountant", "prw"], "prv"),
        (["privacy", "spent"], "one of the two"),
        (["privacy", "spent", "--state-dir", "nowhere"], "nowhere"),
        (["privacy", "spent", "--ledger", "nowhere.sqlite"], "nowhere.sqlite"),
        (["privacy", "spent", "--ledger", "l", "--export", "e"], "--key"),
        (["privacy", "verify", "nowhere.json", "--certificate", "nowhere.pem"], "--certificate nowhere.pem"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert word in refused(arguments, capsys)


def test_what_is_spent_is_read_through_the_state_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = tmp_path / "records.csv.ledger.sqlite"
    state = tmp_path / "state"
    state.mkdir()
    request = AccountRequest([b"a" * 32], 1e-5, "prv", 8.0, public=False, new_account=None, run="run", node="a")
    with open_account(ledger, request) as account:
        account.charge(Charge(0.1, 1.0, 40))
        account.charge(Charge(0.1, 1.0, 2))
    write_ledger_link(state, ledger)
    assert main(["privacy", "spent", "--state-dir", str(state), "--json"]) == 0
    found = result(capsys)
    assert found["epsilon"] == pytest.approx(epsilon([Charge(0.1, 1.0, 42)], 1e-5))
    assert (found["delta"], found["charges"], found["steps"]) == (1e-5, 2, 42)
    assert "Gaussian" in str(found["mechanism"])
    assert main(["privacy", "spent", "--ledger", str(ledger)]) == 0
    assert "42" in capsys.readouterr().out


def test_an_export_is_verified_with_the_certificate_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger, export = tmp_path / "ledger.sqlite", tmp_path / "export.json"
    make_trial_certificates(tmp_path / "certs", {"a": "127.0.0.1:1", "b": "127.0.0.1:2"})
    request = AccountRequest([b"a" * 32], 1e-5, "rdp", None, public=False, new_account=None, run="run", node="a")
    with open_account(ledger, request) as account:
        account.charge(Charge(0.1, 1.0, 40))
    key = str(tmp_path / "certs" / "a.key")
    assert main(["privacy", "spent", "--ledger", str(ledger), "--export", str(export), "--key", key, "--json"]) == 0
    spent = result(capsys)
    assert spent["export"] == str(export)
    assert [charge["steps"] for charge in spent["history"]] == [40]  # type: ignore[attr-defined]
    ledger.unlink()
    verify = ["privacy", "verify", str(export), "--certificate"]
    assert main([*verify, str(tmp_path / "certs" / "a.pem"), "--json"]) == 0
    found = result(capsys)
    assert found["verified"] is True
    assert [found[name] for name in ("epsilon", "charges", "history")] == [
        spent[name] for name in ("epsilon", "charges", "history")
    ]
    assert main([*verify, str(tmp_path / "certs" / "a.pem")]) == 0
    assert "verified" in capsys.readouterr().out
    assert "not signed by the key" in refused([*verify, str(tmp_path / "certs" / "b.pem")], capsys)
    export.write_bytes(export.read_bytes().replace(b"40", b"4 ", 1))
    assert "altered" in refused([*verify, str(tmp_path / "certs" / "a.pem")], capsys)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"ledger": 3}', '{"ledger": "gone.sqlite"}'])
def test_a_state_directory_without_a_readable_ledger_is_refused(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "ledger.json").write_text(content)
    assert "ledger" in refused(["privacy", "spent", "--state-dir", str(tmp_path)], capsys)
