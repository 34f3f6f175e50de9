"""What Flower reads: the app's folder, whose code is in this package, and TOML files with settings.

APP/pyproject.toml   names the ServerApp and the ClientApp, and every key of a run's configuration
"""

from collections.abc import Mapping
from pathlib import Path

import tomli_w

from gossipfl.config.addresses import LOOPBACK

Settings = Mapping[str, str | int | bool]
"""Of a run or of a client, by key."""

CONNECTION = "deployment"
"""Flower's name of the only server its commands know."""
RUN_KEYS: Settings = {"trial": False, "experiment": "", "folder": "", "output": "", "told": "", "order": ""}
"""Of a run's configuration, with their values when nobody gives others; see `deployed_server`."""


def app_text() -> str:
    """The app's pyproject.toml."""
    components = {
        "serverapp": "gossipfl.baseline.deployed_server:app",
        "clientapp": "gossipfl.baseline.deployed_client:app",
    }
    project = {
        "name": "gossipfl-fedavg",
        "version": "1.0.0",
        "description": "FedAvg around gossipfl's learners.",
        "license": "Apache-2.0",
    }
    app = {"publisher": "gossipfl", "components": components, "config": dict(RUN_KEYS)}
    return tomli_w.dumps({"project": project, "tool": {"flwr": {"app": app}}})


def write_app(folder: Path) -> Path:
    """The app's folder, made."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(app_text())
    return folder


def write_settings(path: Path, settings: Settings) -> Path:
    """A TOML file for `--run-config` or `--node-config`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomli_w.dumps(dict(settings)))
    return path


def write_superlink(home: Path, port: int, authority: Path) -> None:
    """The configuration of Flower's commands in a home of their own: they talk to one server, on loopback."""
    server = {"address": f"{LOOPBACK}:{port}", "root-certificates": str(authority)}
    home.mkdir(parents=True, exist_ok=True)
    text = tomli_w.dumps({"superlink": {"default": CONNECTION, CONNECTION: server}})
    (home / "config.toml").write_text(text)
