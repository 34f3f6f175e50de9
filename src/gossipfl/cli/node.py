"""`gossipfl node`: one organization's node."""

import logging
from typing import Annotated

import typer
from rich.table import Table

from gossipfl.cli.options import JsonOption, NameOption, PeersOption, SetOption, StateDirOption, command_app, example
from gossipfl.cli.output import emit, table
from gossipfl.cli.watching import watcher
from gossipfl.node.assembly import NodeRequest, run_node
from gossipfl.node.record import NodeRecord

app = command_app()


@app.command(
    epilog=example(
        "gossipfl node --peers peers.yaml",
        "gossipfl node --peers peers.yaml --name clinic --serve",
        "gossipfl node --peers peers.yaml --set training.phases=2 --json",
        "gossipfl node --peers peers.yaml --join north.example.org:50051",
    )
)
def node(  # noqa: PLR0913  # one an option
    *,
    peers: PeersOption,
    name: NameOption = None,
    state_dir: StateDirOption = None,
    sets: SetOption = None,
    serve: Annotated[bool, typer.Option("--serve", help="Go on mixing and serving after the last step.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="No TLS: for a closed network only.")] = False,
    new_account: Annotated[
        str | None, typer.Option(help="Start a fresh privacy account on known data; recorded.", metavar="REASON")
    ] = None,
    join: Annotated[
        list[str] | None,
        typer.Option(help="Membership dynamic: a node to join through; repeatable.", metavar="HOST:PORT"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train on this machine's data and gossip with the neighbors until everybody is done.

    Killed at any moment, it goes on where it was by the same command.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    request = NodeRequest(
        peers=peers,
        name=name,
        state_dir=state_dir,
        overrides=tuple(sets or ()),
        serve=serve,
        insecure=insecure,
        new_account=new_account,
        join=tuple(join or ()),
    )
    with watcher() as watch:
        record = run_node(request, watch)
    emit(record.as_json(), json=json, text=_drawn(record))
    if record.state == "interrupted":
        raise typer.Exit(130)


def _drawn(record: NodeRecord) -> Table:
    row = record.as_json()
    columns = ("name", "step", "loss", "accuracy", "test_accuracy", "epsilon", "bytes_sent", "bytes_received")
    return table(columns, [[row[column] for column in columns]], title=record.state)
