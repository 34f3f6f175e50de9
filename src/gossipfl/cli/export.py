"""`gossipfl export`: a node's newest adapter, or what a recorded run has left, as a PEFT folder or a merged model."""

import json as json_format
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.options import JsonOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.config.loading import LoadedPeers, load_experiment, load_peers
from gossipfl.errors import ConfigError, StateError
from gossipfl.learning.card import CARD
from gossipfl.learning.export import Origin, adapted_again, export, export_stored
from gossipfl.node.checkpoint import load_latest
from gossipfl.node.personal_export import exportable
from gossipfl.node.story import story_of
from gossipfl.runs.adapter_file import read_adapter
from gossipfl.runs.run_export import left_by

app = command_app()


@app.command(
    name="export",
    epilog=example(
        "gossipfl export --state-dir state/oslo --output exported",
        "gossipfl export --state-dir state/oslo --output model --merge",
        "gossipfl export --state-dir state/oslo --output own --personal",
        "gossipfl export --run runs/quickstart --output exported",
        "gossipfl export --run runs/quickstart --name n3 --output exported",
    ),
)
def run(  # noqa: PLR0913  # one an option
    *,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="The node's state directory.", metavar="DIR")
    ] = None,
    recorded: Annotated[
        Path | None,
        typer.Option("--run", help="Folder of a run by simulate, fedavg or compare, instead of a node.", metavar="DIR"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="With --run: a node, its state kept (simulation.keep_states); default: mean.", metavar="NODE"
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="Folder to write; an earlier export is replaced.")],
    peers: Annotated[
        Path | None,
        typer.Option("--peers", help="peers.yaml, where it is not two folders above the state.", metavar="FILE"),
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Write the whole model with the adapter folded in.")] = False,
    personal: Annotated[bool, typer.Option("--personal", help="The node's own model (personal.phases).")] = False,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="The own model as it was fine-tuned, without personal.interpolate.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write a node's newest adapter as a folder that PEFT loads, or with --merge as a model that transformers loads.

    A builtin model, for which neither has a form, is written as safetensors with a config.json. README.md is a model
    card: how to load it, task, topology, bytes, ε and hashes; nothing in it tells of single records or how many.

    The experiment is the one the state was trained in, as the state directory keeps it. A node's own model is exported
    where its ledger covers it; one that was made to stay (personal.stays) is refused.

    Of a recorded run it is the mean over the nodes, what the server had, or a node's state. Its noise was seeded, and
    the card says that it protects nothing.
    """
    if recorded is not None:
        if state_dir is not None or peers is not None or personal or tuned:
            raise ConfigError("--run goes with --name, --merge and --output alone: it is no node's state directory")
        _export_run(recorded, name, output, merge=merge, json=json)
        return
    if state_dir is None or name is not None:
        raise ConfigError(
            "export needs --state-dir for a node's adapter, or --run, perhaps with --name, for a recorded run"
        )
    saved = load_latest(state_dir)
    if saved is None:
        raise StateError(f"--state-dir {state_dir} holds no checkpoint: {_why_none(state_dir)}")
    origin = _origin(state_dir, peers)
    state, own = saved.state, personal or tuned
    if own:
        state = exportable(state_dir, origin.experiment, state, tuned=tuned)
    story = story_of(state_dir, origin.experiment, saved, nodes=_nodes(state_dir, peers), personal=own)
    sha256 = export_stored(origin, state, output, merge=merge, story=story)
    card = output / CARD
    result = {"output": str(output), "adapter_sha256": sha256, "card": str(card)}
    text = f"{output}: step {saved.snapshot.step}, sha256 {sha256}; model card {card}"
    if origin.experiment.model.builtin is not None:
        text += f"\nall weights of {origin.experiment.model.source} in model.safetensors, its layers in config.json"
    emit(result, json=json, text=text)


def _why_none(state_dir: Path) -> str:
    if (state_dir / "versions.json").is_file():
        return f"it is a recorded run, which --run {state_dir} exports"
    return "no node has trained there yet"


def _export_run(recorded: Path, name: str | None, output: Path, *, merge: bool, json: bool) -> None:
    left = left_by(recorded, name)
    adapted = adapted_again(left.origin)
    sha256 = export(adapted, read_adapter(left.place, adapted.spec), output, merge=merge, story=left.story)
    card = output / CARD
    result = {"output": str(output), "adapter_sha256": sha256, "card": str(card)}
    emit(result, json=json, text=f"{output}: of {recorded}, sha256 {sha256}; model card {card}")


def _origin(state_dir: Path, peers: Path | None) -> Origin:
    experiment = load_experiment(state_dir / "config.yaml").experiment
    return Origin(experiment, _home(state_dir, peers), _components(state_dir))


def _home(state_dir: Path, peers: Path | None) -> Path:
    """Where the experiment's relative paths start: beside experiment.yaml, `state/NAME` being beside peers.yaml."""
    found = _peers(state_dir, peers)
    return _beside(state_dir) if found is None else found.experiment.folder


def _nodes(state_dir: Path, peers: Path | None) -> int | None:
    """How many take part, where somebody says so."""
    found = _peers(state_dir, peers)
    return None if found is None else len(found.names)


def _peers(state_dir: Path, peers: Path | None) -> LoadedPeers | None:
    path = peers or _beside(state_dir) / "peers.yaml"
    return load_peers(path) if peers or path.is_file() else None


def _beside(state_dir: Path) -> Path:
    return state_dir.resolve().parent.parent


def _components(state_dir: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        found = json_format.loads((state_dir / "fingerprint.json").read_text())
        if isinstance(found, dict):
            return {str(name): str(value) for name, value in found.items()}
    return {}
