"""`gossipfl node`: one organization's node."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from gossipfl.cli.logs import LogFormat, LogFormatOption, LogLevel, LogLevelOption, configure_logs
from gossipfl.cli.options import (
    JsonOption,
    NameOption,
    PeersOption,
    SetOption,
    StateDirOption,
    TensorboardOption,
    TokenFileOption,
    command_app,
    example,
)
from gossipfl.cli.output import emit, table
from gossipfl.cli.personal_text import personal_table
from gossipfl.cli.watching import watcher
from gossipfl.config.loading import load_peers, resolve_self
from gossipfl.node.assembly import NodeRequest, run_node
from gossipfl.node.attacking import UNSAFE, AttackRequest
from gossipfl.node.dashboard.beside import Page
from gossipfl.node.dashboard.site import Site, parse_place, read_token, require_dashboard, site_at
from gossipfl.node.record import STOPPED_TOGETHER, NodeRecord
from gossipfl.node.traces.target import require_traces, trace_target
from gossipfl.runs.curves import require_tensorboard

app = command_app()


@app.command(
    epilog=example(
        "gossipfl node --peers peers.yaml",
        "gossipfl node --peers peers.yaml --name clinic --serve --dashboard 8787",
        "gossipfl node --peers peers.yaml --set training.phases=2 --json",
        "gossipfl node --peers peers.yaml --join north.example.org:50051",
        "gossipfl node --peers peers.yaml --traces http://127.0.0.1:4318 --tensorboard curves",
    )
)
def node(  # noqa: PLR0913  # one an option
    *,
    peers: PeersOption,
    name: NameOption = None,
    state_dir: StateDirOption = None,
    dashboard: Annotated[
        str | None,
        typer.Option(
            help="Serve the live page of all nodes there; any host but loopback needs a token.", metavar="[HOST:]PORT"
        ),
    ] = None,
    token_file: TokenFileOption = None,
    log_format: LogFormatOption = LogFormat.text,
    log_level: LogLevelOption = LogLevel.info,
    sets: SetOption = None,
    serve: Annotated[bool, typer.Option("--serve", help="Go on mixing and serving after the last step.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="No TLS: for a closed network only.")] = False,
    new_account: Annotated[
        str | None, typer.Option(help="Start a fresh privacy account on known data; recorded.", metavar="REASON")
    ] = None,
    attack: Annotated[
        str | None,
        typer.Option(help="Lie to the neighbors, to try your own defenses; see simulation.attackers.", metavar="KIND"),
    ] = None,
    unsafe: Annotated[bool, typer.Option(UNSAFE, help="With --attack: this federation may be harmed.")] = False,
    join: Annotated[
        list[str] | None,
        typer.Option(help="Membership dynamic: a node to join through; repeatable.", metavar="HOST:PORT"),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option(help="Of a federation that was rolled back before this node was there.", metavar="BRANCH"),
    ] = None,
    traces: Annotated[
        str | None,
        typer.Option(
            help="Send OpenTelemetry traces to this collector (OTLP over HTTP); env: OTEL_EXPORTER_OTLP_ENDPOINT.",
            metavar="URL|env",
        ),
    ] = None,
    tensorboard: TensorboardOption = None,
    json: JsonOption = False,
) -> None:
    """Train on this machine's data and gossip with the neighbors until everybody is done.

    Killed at any moment, it goes on where it was by the same command. Exit code 3: it was stopped together with all
    others (gossipfl stop).
    """
    if tensorboard is not None:
        require_tensorboard()
    configure_logs(log_format, log_level, node=_name(peers, name) if log_format is LogFormat.json else None)
    request = NodeRequest(
        peers=peers,
        name=name,
        state_dir=state_dir,
        page=None if dashboard is None else Page(_site(dashboard, token_file), peers, insecure),
        overrides=tuple(sets or ()),
        serve=serve,
        insecure=insecure,
        new_account=new_account,
        attack=AttackRequest(attack, allowed=unsafe),
        join=tuple(join or ()),
        branch=branch,
        traces=None if traces is None else _trace_target(traces, insecure=insecure),
        tensorboard=tensorboard,
    )
    with watcher() as watch:
        record = run_node(request, watch)
    emit(record.as_json(), json=json, text=_drawn(record))
    if record.state == "interrupted":
        raise typer.Exit(130)
    if record.state == STOPPED_TOGETHER:
        raise typer.Exit(3)


def _name(peers: Path, name: str | None) -> str:
    return resolve_self(load_peers(peers).peers, name, os.environ).name


def _site(place: str, token_file: Path | None) -> Site:
    """Where the dashboard is to be; what is wrong with it is said before anything is loaded."""
    require_dashboard()
    site = site_at(*parse_place(place), read_token(token_file, os.environ))
    site.listen().close()
    return site


def _trace_target(text: str, *, insecure: bool) -> str:
    require_traces()
    return trace_target(text, os.environ, insecure=insecure)


def _drawn(record: NodeRecord) -> RenderableType:
    row = record.as_json()
    columns = ("name", "step", "loss", "accuracy", "test_accuracy", "epsilon", "bytes_sent", "bytes_received")
    drawn = table(columns, [[row[column] for column in columns]], title=record.state)
    return drawn if record.personal is None else Group(drawn, personal_table(row["personal"]))
