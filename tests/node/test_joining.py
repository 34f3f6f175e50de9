"""What the command line says about joining is checked before anything is loaded."""

from pathlib import Path

import pytest
import yaml
from tests.node.study import make_study

from gossipfl.config.loading import load_peers
from gossipfl.errors import ConfigError
from gossipfl.node.newcomers import joining


def peers(folder: Path, membership: str) -> Path:
    study = make_study(folder / "study", folder, names=("ada", "bob"))
    study.edit("peers.yaml", lambda content: content.update(membership=membership))
    assert yaml.safe_load(study.peers.read_text())["membership"] == membership
    return study.peers


def test_addresses_of_the_command_line_come_after_those_of_the_file(tmp_path: Path) -> None:
    path = peers(tmp_path, "dynamic")
    loaded = joining(load_peers(path), ("h:1", "h:2"), insecure=False)
    assert loaded.peers.join == ("h:1", "h:2")


def test_static_nodes_do_not_join_and_nobody_joins_without_certificates_or_nowhere(tmp_path: Path) -> None:
    path = peers(tmp_path / "a", "static")
    with pytest.raises(ConfigError, match=r"--join: peers\.yaml has membership static"):
        joining(load_peers(path), ("h:1",), insecure=False)
    path = peers(tmp_path / "b", "dynamic")
    with pytest.raises(ConfigError, match="--insecure: membership dynamic"):
        joining(load_peers(path), (), insecure=True)
    with pytest.raises(ConfigError, match="--join: 'nowhere' is no HOST:PORT"):
        joining(load_peers(path), ("nowhere",), insecure=False)
