"""`gossipfl check`: what is wrong, and what the plan is, before any training."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from gossipfl.cli.options import JsonOption, NameOption, PeersOption, SetOption, command_app, example
from gossipfl.cli.output import emit, table
from gossipfl.errors import UserError
from gossipfl.node.checking import Findings, check
from gossipfl.node.memory import UNIT, Memory

app = command_app()


@app.command(
    "check",
    epilog=example(
        "gossipfl check --peers peers.yaml",
        "gossipfl check --peers peers.yaml --insecure",
        "gossipfl check --peers peers.yaml --json",
    ),
)
def run(
    *,
    peers: PeersOption,
    name: NameOption = None,
    sets: SetOption = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="For nodes that run without TLS: no certificate is asked for.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check model, adapter, data, certificates, topology and privacy plan, and print the plan.

    Data and certificates are checked for the nodes whose data or key is on this machine. Exit code 2: a problem; the
    first one is repeated as an error line.
    """
    findings = check(peers, name=name, overrides=tuple(sets or ()), insecure=insecure)
    emit(_result(findings), json=json, text=_drawn(findings))
    if findings.problems:
        raise UserError(_summary(findings.problems))


def _summary(problems: Sequence[str]) -> str:
    first, *others = problems
    return f"{len(problems)} problems, first: {first}" if others else f"1 problem: {first}"


def _result(findings: Findings) -> dict[str, object]:
    lam = findings.lam
    return {
        "ok": not findings.problems,
        "problems": findings.problems,
        "notes": findings.notes,
        "nodes": findings.nodes,
        "lambda": lam,
        "spectral_gap": None if lam is None else 1 - lam,
        "adapter": findings.adapter,
        "values": findings.values,
        "bytes_per_exchange": findings.bytes_per_exchange,
        "memory": _memory(findings.memory),
        "machines": findings.machines,
        "sample_rate": {name: plan.sample_rate for name, plan in findings.plans.items()},
        "steps": {name: plan.steps for name, plan in findings.plans.items()},
        "noise_multiplier": {name: plan.noise_ahead for name, plan in findings.plans.items()},
        "epsilon": {name: plan.epsilon for name, plan in findings.plans.items()},
    }


def _memory(memory: Memory | None) -> dict[str, object] | None:
    """Bytes."""
    return None if memory is None else {**asdict(memory), "total": memory.total}


def _in_memory(memory: Memory | None) -> list[str]:
    if memory is None:
        return []
    total, free = memory.total / UNIT, memory.room / UNIT
    return [f"memory of a node, by estimate: {total:.2f} GB of {memory.device} memory, of which {free:.2f} GB are free"]


def _said(own: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {' '.join(value) if isinstance(value, list) else value}" for key, value in own.items())


def _drawn(findings: Findings) -> RenderableType:
    result = _result(findings)
    machines = [f"machine of {name}: {_said(own)}" for name, own in findings.machines.items()]
    lines = [] if findings.adapter is None else [str(findings.adapter)]
    lines += [f"{key}: {result[key]}" for key in ("nodes", "lambda", "spectral_gap", "values", "bytes_per_exchange")]
    lines += _in_memory(findings.memory)
    rows = [
        [
            name,
            findings.neighbors.get(name),
            plan.units,
            plan.sample_rate,
            plan.steps,
            plan.noise_ahead,
            plan.epsilon,
            plan.delta,
        ]
        for name, plan in findings.plans.items()
    ]
    plans = [table(("node", "neighbors", "units", "q", "steps", "σ", "ε", "δ"), rows)] if rows else []
    marks = [f"note: {note}" for note in findings.notes] + [f"problem: {problem}" for problem in findings.problems]
    return Group(
        *lines, *machines, *plans, *marks, "ok" if not findings.problems else f"{len(findings.problems)} problems"
    )
