"""The ledger lies where the data lies, and otherwise in the user's data folder; never with a run's state."""

from pathlib import Path

import pytest

from gossipfl.privacy.ledger_location import ledger_path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "gossipfl" / "ledgers"


def test_a_file_or_folder_has_its_ledger_beside_it(tmp_path: Path) -> None:
    (tmp_path / "records.csv").touch()
    (tmp_path / "saved").mkdir()
    assert ledger_path("records.csv", tmp_path, None) == tmp_path / "records.csv.ledger.sqlite"
    assert ledger_path("./saved/", tmp_path, None) == tmp_path / "saved.ledger.sqlite"


def test_a_link_to_the_data_leads_to_the_same_ledger(tmp_path: Path) -> None:
    (tmp_path / "records.csv").touch()
    (tmp_path / "link.csv").symlink_to("records.csv")
    assert ledger_path("link.csv", tmp_path, None) == ledger_path("records.csv", tmp_path, None)


def test_what_is_written_in_the_configuration_wins(tmp_path: Path) -> None:
    (tmp_path / "records.csv").touch()
    assert ledger_path("records.csv", tmp_path, "safe/l.sqlite") == tmp_path / "safe" / "l.sqlite"
    assert ledger_path(None, tmp_path, "/safe/l.sqlite") == Path("/safe/l.sqlite")


@pytest.mark.parametrize("source", ["someone/hospital-notes", "package:dist/data.csv", None])
def test_data_without_a_place_has_its_ledger_in_the_data_home(tmp_path: Path, home: Path, source: str | None) -> None:
    place = ledger_path(source, tmp_path, None)
    assert place.parent == home
    assert place.name.endswith(".ledger.sqlite")
    assert place == ledger_path(source, tmp_path / "elsewhere", None)


def test_different_sources_have_different_ledgers(tmp_path: Path) -> None:
    assert ledger_path("a/notes", tmp_path, None) != ledger_path("b/notes", tmp_path, None)


def test_a_split_dataset_has_one_ledger_in_the_data_home_however_it_is_written(tmp_path: Path, home: Path) -> None:
    (tmp_path / "all.csv").touch()
    place = ledger_path("all.csv", tmp_path, None, split=True)
    assert place.parent == home
    assert place == ledger_path("./all.csv", tmp_path, None, split=True)


def test_a_relative_data_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ledger_path("a/b", tmp_path, None).parent == tmp_path / ".local" / "share" / "gossipfl" / "ledgers"
