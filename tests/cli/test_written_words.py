"""What help texts, usage lines and deployment files say is so."""

import re
from pathlib import Path

import pytest

from gossipfl.cli.app import main

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path for path in (ROOT / "scripts").rglob("*") if path.is_file() and path.suffix != ".pyc")


def test_inspect_hides_nothing_of_what_leaves_beside_the_vector(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Nothing else" not in said
    for what in ("ledger head", "certificate", "fingerprints", "sketch", "incarnation", "rejections", "test set"):
        assert what in said
    for what in ("budget", "planned", "staleness", "distance", "neighbor", "past"):
        assert what in said


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_scripts_that_a_script_names_are_there(script: Path) -> None:
    for named in re.findall(r"\bscripts/[\w./-]*\w", script.read_text(encoding="utf-8")):
        assert (ROOT / named).exists(), named


def test_all_that_a_container_writes_lies_in_its_volume() -> None:
    text = (ROOT / "scripts/deploy/Containerfile").read_text()
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    places = dict(pair.split("=") for pair in line.split())
    assert set(places) == {"HOME", "HF_HOME", "GOSSIPFL_CACHE"}
    assert all(Path(place).is_relative_to("/node") for place in places.values())
    assert "VOLUME /node\n" in text


def test_the_containers_user_may_write_to_its_volume() -> None:
    text = (ROOT / "scripts/deploy/Containerfile").read_text()
    assert "-v ./node:/node:Z,U" in text
    assert "--home-dir /node --create-home" in text


def test_the_services_user_may_read_key_and_data() -> None:
    text = (ROOT / "scripts/deploy/gossipfl.service").read_text()
    (user,) = re.findall(r"^User=(.*)$", text, re.MULTILINE)
    assert f"chown -R {user}: /etc/gossipfl/certs /etc/gossipfl/data" in text
