"""`gossipfl certs` from the command line."""

import json
import stat
from pathlib import Path

import pytest

from gossipfl.cli.app import main
from gossipfl.net.certificate_files import is_issued_by, read_pair
from gossipfl.net.revocations import read_revocations


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    answer: dict[str, str] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return answer


def test_trial_certificates_are_made_at_once_and_said_to_be_for_trials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["certs", str(tmp_path), "--nodes", "a,b", "--json"]) == 0
    captured = capsys.readouterr()
    made = json.loads(captured.out.splitlines()[-1])
    assert "for trials" in captured.err
    assert set(made["nodes"]) == {"a", "b"}
    for name, node in made["nodes"].items():
        pair = read_pair(Path(node["certificate"]), Path(node["key"]), name=name)
        assert is_issued_by(pair.certificate, Path(made["authority"]).read_bytes())


def test_a_key_made_on_its_node_is_signed_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority, node = tmp_path / "authority", tmp_path / "node"
    main(["certs", str(authority), "--nodes", "other"])
    assert main(["certs", "request", "--name", "a", "--address", "a.example.org:7001", "--output", str(node)]) == 0
    key = node / "a.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    sign = ["certs", "sign", str(node / "a.csr"), "--name", "a", "--authority", str(authority), "--output", str(node)]
    capsys.readouterr()
    assert main(sign) == 2
    assert "--address" in capsys.readouterr().err
    assert main([*sign, "--address", "a.example.org:7001", "--json"]) == 0
    read_pair(Path(result(capsys)["certificate"]), key, name="a")


def test_a_request_for_another_node_is_not_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["certs", str(tmp_path), "--nodes", "b"])
    main(["certs", "request", "--name", "a", "--output", str(tmp_path)])
    capsys.readouterr()
    assert main(["certs", "sign", str(tmp_path / "a.csr"), "--name", "c", "--authority", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: the request is for 'a'")


def test_a_pinned_certificate_comes_with_the_fingerprint_for_peers_yaml(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["certs", "pin", "--name", "a", "--output", str(tmp_path), "--json"]) == 0
    assert result(capsys)["fingerprint"].startswith("sha256:")


@pytest.mark.parametrize(
    ("nodes", "message"), [("a,a", "twice"), ("a,under_score", "under_score"), ("authority", "authority")]
)
def test_a_name_that_cannot_be_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], nodes: str, message: str
) -> None:
    assert main(["certs", str(tmp_path / "new"), "--nodes", nodes]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error:")
    assert message in error
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("folder", "said"),
    [("file", "is a file, a folder for keys and certificates was expected"), ("file/below", "Not a directory")],
)
def test_a_folder_that_cannot_be_made_is_no_key_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str, said: str
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["certs", str(tmp_path / folder), "--nodes", "a,b"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error:")
    assert said in error
    assert "already" not in error


def test_a_key_that_is_there_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", "request", "--name", "a", "--output", str(tmp_path)]) == 0
    key = (tmp_path / "a.key").read_bytes()
    capsys.readouterr()
    assert main(["certs", "request", "--name", "a", "--output", str(tmp_path)]) == 2
    assert "a.key: there is a key already" in capsys.readouterr().err
    assert (tmp_path / "a.key").read_bytes() == key


def test_a_host_that_is_none_is_called_by_its_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", str(tmp_path), "--nodes", "a,b", "--host", "bad host"]) == 2
    assert capsys.readouterr().err.startswith("error: --host: ")


def test_a_revoked_certificate_is_in_the_authoritys_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["certs", str(tmp_path), "--nodes", "a,b"])
    capsys.readouterr()
    assert main(["certs", "revoke", "--authority", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["certificates"] == 0
    assert main(["certs", "revoke", str(tmp_path / "a.pem"), "--authority", str(tmp_path), "--json"]) == 0
    made = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (made["number"], made["certificates"]) == (2, 1)
    listed = read_revocations(Path(made["revoked"]), (tmp_path / "authority.pem").read_bytes())
    assert listed.covers((tmp_path / "a.pem").read_bytes())
    assert not listed.covers((tmp_path / "b.pem").read_bytes())
    assert main(["certs", "revoke", str(tmp_path / "a.key"), "--authority", str(tmp_path)]) == 2
    assert "none that this authority has signed" in capsys.readouterr().err
