"""Options that several commands share, so that they read the same everywhere.

def status(peers: PeersOption, sets: SetOption = (), json: JsonOption = False) -> None: ...
"""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.groups import default_group

PeersOption = Annotated[Path, typer.Option("--peers", help="peers.yaml: who takes part.", metavar="FILE")]
"""Required."""
NameOption = Annotated[
    str | None, typer.Option("--name", help="This machine's node; default: see `self` in peers.yaml.", metavar="NODE")
]
StateDirOption = Annotated[
    Path | None, typer.Option("--state-dir", help="Default: state/NAME beside peers.yaml.", metavar="DIR")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override one field of the experiment, a.b=VALUE; repeatable.", metavar="FIELD=VALUE"),
]
"""Default None; `load_experiment` and `load_peers` take `sets or ()`."""
AtPhaseOption = Annotated[
    int | None,
    typer.Option(
        "--at-phase", help="After so many training phases; default: two ahead of the farthest node.", metavar="PHASE"
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object, the last line of stdout.")
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File with the token that the page asks for; default: GOSSIPFL_DASHBOARD_TOKEN.",
        metavar="FILE",
    ),
]
TensorboardOption = Annotated[
    Path | None,
    typer.Option("--tensorboard", help="Write curves for TensorBoard there, beside everything else.", metavar="DIR"),
]
OutputOption = Annotated[Path | None, typer.Option("--output", help="Folder to write to.", metavar="DIR")]


def command_app(*, default: str | None = None, help: str | None = None) -> typer.Typer:
    """The `app` of a command module.

    Args:
        default: name of the subcommand that runs when the first argument names none; register it `hidden=True`.
        help: of a group; a single command's help is its docstring.
    """
    app = typer.Typer(rich_markup_mode=None, add_completion=False, help=help)
    if default is not None:
        app.info.cls = default_group(default)
    return app


def example(*lines: str) -> str:
    """The epilog of a command: example command lines, one a line."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
