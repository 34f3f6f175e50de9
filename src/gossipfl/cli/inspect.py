"""`gossipfl inspect`: look at what would leave before it does."""

import math
import os
from typing import Annotated

import numpy as np
import typer
from rich.console import Group, RenderableType

from gossipfl.cli.options import JsonOption, NameOption, PeersOption, SetOption, StateDirOption, command_app, example
from gossipfl.cli.output import emit, table
from gossipfl.errors import ConfigError
from gossipfl.node.outgoing import OutgoingState, next_outgoing

app = command_app()

COLUMNS = ("segment", "shape", "values", "smallest", "largest", "norm")


@app.command("inspect", epilog=example("gossipfl inspect --outgoing --peers peers.yaml --name clinic"))
def run(  # one an option
    *,
    peers: PeersOption,
    outgoing: Annotated[bool, typer.Option("--outgoing", help="What would leave the node.")] = False,
    name: NameOption = None,
    state_dir: StateDirOption = None,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show the very vector that the node would send next, tensor by tensor, and which charges cover it.

    With it go step, round, sequence and incarnation numbers and the signed ledger head (number of charges, hash); to
    introduce itself, the node's name, certificate, fingerprints of the experiment and a sketch of the public basis.
    A member that asks for its status also learns ε and its budget, steps planned, its links and the addresses of
    peers.yaml, byte counts, staleness and the distance between published states by edge, rejections by reason and
    neighbor, and loss and accuracy on the common public test set; of all that also the past.
    Where a coordinator asks for a checkpoint of all nodes, a signed statement goes with it: phase, step, digests of
    what was kept, ledger head.
    """
    if not outgoing:
        raise ConfigError("inspect: give --outgoing, the only view there is")
    found = next_outgoing(peers, name=name, state_dir=state_dir, environ=dict(os.environ), overrides=tuple(sets or ()))
    emit(_result(found), json=json, text=_drawn(found))


def _covered(found: OutgoingState) -> str:
    receipt = found.receipt
    if not found.step:
        return "nothing private: the common start"
    if math.isinf(receipt.epsilon):
        return "nothing: privacy.level is none"
    return f"{receipt.charges} charges, ε = {receipt.epsilon:.3f} at δ = {receipt.delta:g}, ledger {receipt.head[:16]}"


def _result(found: OutgoingState) -> dict[str, object]:
    messages = [
        {"to": receiver, "values": found.state.spec.size, "bytes": found.payload_bytes, "covered_by": _covered(found)}
        for receiver in found.receivers
    ]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in _segments(found)]
    staying = [segment.name for segment in found.staying]
    about = {"step": found.step, "blake3": found.state.digest(), "protection": found.protection}
    return {"messages": messages, **about, "segments": rows, "staying": staying}


def _segments(found: OutgoingState) -> list[list[object]]:
    rows: list[list[object]] = []
    for segment in found.state.spec.segments:
        values = found.state.segment(segment.name)
        figures = [float(values.min()), float(values.max()), float(np.linalg.norm(values))]
        rows.append([segment.name, "×".join(map(str, segment.shape)), segment.size, *figures])
    return rows


def _drawn(found: OutgoingState) -> RenderableType:
    lines = [
        f"to {receiver}: {found.state.spec.size} values, {found.payload_bytes} bytes" for receiver in found.receivers
    ]
    title = f"what {found.name} would send, at step {found.step}"
    if found.protection != "plain":
        lines.append(f"protection {found.protection}: none of them gets these values, each only the sum with others'")
    lines += [f"stays here: {segment.name}" for segment in found.staying]
    return Group(table(COLUMNS, _segments(found), title=title), *lines, f"covered by: {_covered(found)}")
