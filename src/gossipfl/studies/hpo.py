"""A language model on two organ systems of HPO: does a node learn about the organ system it has never seen?

gossip   2 × `gossipfl node`, mTLS on loopback, one edge
alone    the same nodes, data and steps without neighbors
then     `gossipfl export`, `gossipfl generate`, and the same through PEFT alone

python -m gossipfl.studies.hpo [--privacy] [--output DIR]
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gossipfl.core.json_text import json_text
from gossipfl.learning.reload import reload_text
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.fleet import Fleet, Job, launch, node_job
from gossipfl.studies.forked import Launch
from gossipfl.studies.hpo_config import SYSTEMS, Trial, default_trial
from gossipfl.studies.hpo_files import HpoFiles, write_hpo
from gossipfl.studies.hpo_losses import BASE, Comparison, Losses, compare, measure
from gossipfl.studies.hpo_result import Answer, HpoNode, HpoResult, Spent, markdown
from gossipfl.studies.new_folder import make_new_folder

TIMEOUT_S = 3600.0
"""For one arm; minutes on two free cores, and as long as it takes on a busy machine."""
MAX_NEW_TOKENS = 48
Figures = Mapping[str, Mapping[str, Any]]
Run = Callable[[Sequence[Job]], Figures]

logger = logging.getLogger(__name__)


def run_hpo(output: Path, trial: Trial, *, launch: Launch = launch) -> HpoResult:
    """Trains both arms in real processes, compares them, exports and questions one adapter.

    Args:
        output: empty or new folder that keeps everything, `result.json` and `report.md` among it.
        launch: starts the processes.

    Raises:
        GossipflError: a process failed or was not done in time; none is left behind.
    """
    started = time.monotonic()
    files, run = write_hpo(output, trial), partial(_run, launch)
    logger.info("two nodes train with gossip: %s", output)
    gossip = run([node_job(files.peers["gossip"], name, log=output / "gossip" / f"{name}.log") for name in SYSTEMS])
    logger.info("the same nodes train alone")
    alone = run([_alone_job(output, files, name) for name in SYSTEMS])
    logger.info("losses on held-out terms")
    losses = measure(files.peers["gossip"], _checkpoints(output), files.held_out)
    nodes = [_node(name, files, losses, (gossip[name], alone[name][name])) for name in SYSTEMS]
    logger.info("export and text")
    answer = _ask(output, files, run)
    result = HpoResult(trial, nodes, answer, time.monotonic() - started, output)
    (output / "result.json").write_text(json_text(result.as_json()) + "\n")
    (output / "report.md").write_text(markdown(result))
    return result


def _run(launch: Launch, jobs: Sequence[Job]) -> Figures:
    with Fleet(jobs, launch=launch) as fleet:
        return fleet.results(timeout_s=TIMEOUT_S)


def _alone_job(output: Path, files: HpoFiles, name: str) -> Job:
    arguments = ["--peers", str(files.peers["alone"]), "--name", name, "--keep", str(output / "alone" / "state")]
    return Job(name, ["-m", "gossipfl.studies.alone", *arguments], output / "alone" / f"{name}.log")


def _checkpoints(output: Path) -> dict[str, Path]:
    """Folder of the newest state by arm and node; both arms keep it alike."""
    return {f"{arm}/{name}": output / arm / "state" / name for arm in ("gossip", "alone") for name in SYSTEMS}


def _node(name: str, files: HpoFiles, losses: Losses, figures: tuple[Mapping[str, Any], Mapping[str, Any]]) -> HpoNode:
    gossip, alone = figures
    (other,) = [each for each in SYSTEMS if each != name]
    epsilons = (gossip["epsilon"], alone["epsilon"] if gossip["epsilon"] is not None else None)
    return HpoNode(
        name=name,
        organ_system=SYSTEMS[name],
        terms=len(files.terms[name].train),
        own=_comparison(losses, name, on=name),
        other=_comparison(losses, name, on=other),
        spent=Spent(*epsilons, gossip["target_epsilon"], gossip["delta"], gossip["noise_multiplier"]),
        bytes_sent=gossip["bytes_sent"],
    )


def _comparison(losses: Losses, name: str, *, on: str) -> Comparison:
    return compare(losses[BASE][on], losses[f"alone/{name}"][on], losses[f"gossip/{name}"][on])


def _ask(output: Path, files: HpoFiles, run: Run) -> Answer:
    """Exports the first node's adapter and asks it about a held-out term of the last node's organ system."""
    name, *_, other = SYSTEMS
    prompt, adapter = files.terms[other].held_out[0]["prompt"], output / "adapter"
    exported = _command(run, output, "export", "--state-dir", output / "gossip" / "state" / name, "--output", adapter)
    length = ("--max-new-tokens", MAX_NEW_TOKENS)
    asked = _command(run, output, "generate", "--adapter", adapter, "--prompt", prompt, "--device", "cpu", *length)
    return Answer(
        node=name,
        prompt=prompt,
        text=asked["text"],
        base_text=asked["base_text"],
        reloaded_text=reload_text(adapter, prompt, max_new_tokens=MAX_NEW_TOKENS),
        adapter_sha256=exported["adapter_sha256"],
        generated_sha256=asked["adapter_sha256"],
    )


def _command(run: Run, output: Path, command: str, *options: object) -> Mapping[str, Any]:
    """The JSON result of one command of ours."""
    arguments = ["-m", "gossipfl", command, *map(str, options), "--json"]
    return run([Job(command, arguments, output / f"{command}.log")])[command]


def main() -> None:
    """Runs the study once and prints its report; exit code 1 when it falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--privacy", action="store_true", help="DP-SGD at ε = 8")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="default: runs/hpo-TIME")
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    output: Path = options.output or default_folder("hpo")
    make_new_folder(output)
    result = run_hpo(output, default_trial(private=options.privacy, seed=options.seed))
    sys.stdout.write(markdown(result))
    sys.exit(1 if result.shortfall else 0)


if __name__ == "__main__":
    main()
