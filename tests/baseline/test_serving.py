"""A server in earnest: what it refuses before anything is begun, and what it does with its clients' words."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from tests.baseline.own_data import write_experiment

from gossipfl.baseline.inprocess import MemoryGrid
from gossipfl.baseline.serving import serve
from gossipfl.errors import ConfigError, PrivacyError, UserError

CENTRAL = {"noise_multiplier": 1.0, "max_grad_norm": 1.0, "target_delta": 1e-3}


def served(folder: Path, app: ClientApp, changes: Mapping[str, object]) -> Path:
    """A run in earnest with these clients: its folder."""
    path = write_experiment(folder, **{"simulation__nodes": 2, "flower__timeout_s": 5.0, **changes})
    output = folder / "run"
    settings: dict[str, str | int | float | bool] = {
        "trial": False,
        "experiment": str(path),
        "folder": "",
        "output": str(output),
        "told": "",
        "order": "",
    }
    context = Context(run_id=7, node_id=1, node_config={}, state=RecordDict(), run_config=settings)
    serve(MemoryGrid(app, 2), context)
    return output


@pytest.mark.parametrize(
    ("changes", "kind", "problem"),
    [
        (
            {"privacy": {"level": "none"}, "flower__central_noise": CENTRAL},
            ConfigError,
            r"flower\.central_noise is for trials: its noise is seeded, .*privacy\.level example or update is wanted",
        ),
        ({"flower__strategy": "QFedAvg", "privacy": {"level": "none"}}, ConfigError, "QFedAvg wants losses"),
        ({"flower__weighting": "examples"}, PrivacyError, "how many records"),
    ],
)
def test_what_would_not_protect_is_refused_before_anything_is_begun(
    tmp_path: Path, changes: dict[str, object], kind: type[UserError], problem: str
) -> None:
    with pytest.raises(kind, match=problem) as caught:
        served(tmp_path, ClientApp(), changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
