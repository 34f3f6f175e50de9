"""`gossipfl topology show`: a graph and its schedule in figures and as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gossipfl.cli.names import node_names
from gossipfl.cli.options import JsonOption, command_app, example
from gossipfl.cli.output import emit, table
from gossipfl.config.explain import explain
from gossipfl.config.graph_files import graph_for, write_graph
from gossipfl.config.graph_types import Given, Graph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Schedule
from gossipfl.core.topology import (
    Figures,
    StaticSchedule,
    build_graph,
    build_schedule,
    linked,
    measure,
    weighted,
)
from gossipfl.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

app = command_app(help="Figures and pictures of graphs.")


@app.callback()
def group() -> None:
    """Keeps `show` a subcommand."""


@app.command(
    epilog=example(
        "gossipfl topology show ring --nodes 16",
        "gossipfl topology show random_regular --nodes 64 --degree 4 --plot graph.svg",
        "gossipfl topology show topologies/hospitals.graphml --weights uniform --json",
        "gossipfl topology show --schedule base --nodes 25 --degree 2",
        "gossipfl topology show ring --names north,south,east,lab --weights optimal --save weighted.json",
    )
)
def show(  # noqa: PLR0913  # one an option
    kind: Annotated[str, typer.Argument(metavar="KIND_OR_FILE")] = "ring",
    *,
    schedule: Annotated[str, typer.Option(help="As topology.schedule.")] = "static",
    nodes: Annotated[int | None, typer.Option(help="How many nodes a generator makes; default 8.", min=2)] = None,
    names: Annotated[str | None, typer.Option(help="What they are called, as a,b,c; default n0, n1, …")] = None,
    degree: Annotated[int | None, typer.Option(help="As topology.degree.", min=1)] = None,
    probability: Annotated[float | None, typer.Option(help="As topology.probability.", min=0, max=1)] = None,
    shape: Annotated[str | None, typer.Option(help="Rows and columns of a grid or torus, as 4x6.")] = None,
    seed: Annotated[int, typer.Option(help="Of random graphs.", min=0)] = 0,
    weights: Annotated[str, typer.Option(help="metropolis, uniform, optimal, file, or auto.")] = "auto",
    plot: Annotated[Path | None, typer.Option(help="Write a picture: png, svg or pdf.", metavar="FILE")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write graph and weights: .json, for topology.weights file.", metavar="FILE")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Degree, diameter, λ, spectral gap and steps to consensus of a graph.

    KIND_OR_FILE is a generator (ring, path, complete, star, grid, torus, hypercube, erdos_renyi, watts_strogatz,
    barabasi_albert, random_regular, exponential) or a file (.graphml, .gml, .edgelist, .adjlist, .json, .yaml). The
    schedules one_peer_exponential, base, random_matching, random_regular and epidemic link the nodes by themselves and
    do not look at it. Of a schedule that repeats, λ is that of a whole period; of one that is drawn, λ² is what the
    squared distance is multiplied with in a round on average. What a solver finds (--weights optimal) can differ in
    the last digits between machines: --save it once, and give every node the file.
    """
    given = {"kind": kind, "degree": degree, "probability": probability, "seed": seed, "weights": weights}
    config = _config({**given, "schedule": schedule, "shape": _shape(shape)})
    found = graph_for(config, Path())
    called = _called(found, nodes, names)
    made = build_schedule(config, called, found)
    graph = build_graph(config, called, found) if schedule == "static" else linked(made)
    figures = measure(graph, made)
    if save is not None:
        _save(graph, made, save)
    if plot is not None:
        from gossipfl.report.graph_picture import draw_graph  # noqa: PLC0415  # matplotlib is slow to import

        title = Path(kind).name if schedule == "static" else schedule
        draw_graph(graph, plot, title=f"{title}, {len(called)} nodes, λ = {figures.lam:.4f}")
    result = {"kind": kind, "schedule": schedule, **_result(figures), "plot": plot, "save": save}
    emit(result, json=json, text=_text(schedule, figures))


def _called(found: Given, nodes: int | None, names: str | None) -> list[str]:
    """Every node's name: of the file, or as asked for."""
    if found is None:
        called = [f"n{number}" for number in range(nodes or 8)] if names is None else node_names(names)
    else:
        graphs = found if isinstance(found, tuple) else (found,)
        called = list(dict.fromkeys(node for graph in graphs for node in graph))
        if names is not None:
            raise ConfigError("--names: the nodes of a graph file have names already")
    if nodes not in (None, len(called)):
        raise ConfigError(f"--nodes: there are {len(called)} nodes, not {nodes}")
    return called


def _save(graph: Graph, schedule: Schedule, path: Path) -> None:
    if not isinstance(schedule, StaticSchedule):
        raise ConfigError("--save: only of a static schedule, the others have weights of their own")
    write_graph(weighted(graph, schedule), path)


def _config(given: dict[str, object]) -> TopologyConfig:
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        return TopologyConfig.model_validate(given)
    except ValidationError as error:
        raise ConfigError(f"topology show: {explain(error, TopologyConfig)}") from None


def _shape(text: str | None) -> list[int]:
    if text is None:
        return []
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise ConfigError(f"--shape: {text!r}, rows and columns were expected, as 4x6")
    return [int(part) for part in parts]


def _result(figures: Figures) -> dict[str, object]:
    return {
        "nodes": figures.nodes,
        "edges": figures.edges,
        "directed": figures.directed,
        "degree": {"min": figures.degree_min, "mean": figures.degree_mean, "max": figures.degree_max},
        "diameter": figures.diameter,
        "period": figures.period,
        "lambda": figures.lam,
        "lambda_of": figures.lam_of,
        "spectral_gap": figures.spectral_gap,
        "steps_to_1e-3": figures.steps,
        "doubly_stochastic": figures.doubly_stochastic,
    }


_LAMBDA = {"round": "λ", "period": "λ of a period", "expectation": "λ expected"}


def _text(schedule: str, figures: Figures) -> "Table":
    degree = f"{figures.degree_min} to {figures.degree_max}, mean {figures.degree_mean:.2f}"
    repeats = "never" if figures.period is None else f"after {figures.period} rounds"
    rows: list[tuple[str, object]] = [
        ("nodes", figures.nodes),
        *([] if schedule == "static" else [("schedule", schedule), ("repeats", repeats)]),
        ("edges", f"{figures.edges}{', directed' if figures.directed else ''}"),
        ("degree", degree if figures.degree_min < figures.degree_max else figures.degree_max),
        ("diameter", figures.diameter),
        (_LAMBDA[figures.lam_of], f"{figures.lam:.4f}"),
        ("spectral gap", f"{figures.spectral_gap:.4g}"),
        ("steps to 1e-3", "no bound" if figures.steps is None else figures.steps),
        ("keeps the mean", figures.doubly_stochastic),
    ]
    return table(("figure", "value"), rows)
