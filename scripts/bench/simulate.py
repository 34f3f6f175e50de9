"""What simulation costs: averaging alone, its growth with the nodes, batched against loop, and against gossipy.

    OMP_NUM_THREADS=1 .venv/bin/python -m scripts.bench.simulate [--part averaging push_sum …] [--repeats 5]

averaging   one-peer exponential and random-regular of degree 4, `sync`, 30% of the messages lost, 200 rounds: CPU
            time and largest resident size of a fresh process, from the configuration to the result
push_sum    1,000 nodes x 10,000 values, random-regular of degree 4, 30% of the messages lost, rounds enough for 1e-6
growth      the same with 1,000 values and 100 to 10,000 nodes, 30 rounds: the exponent of CPU time over nodes
engines     optimizer steps of small Llamas through the whole simulator; a ratio is of two runs next to each other
gossipy     against gossipy-dfl 0.0.1 in an environment of its own, `--gossipy-python PATH`: see `simulate_gossipy`

CPU-seconds are of one process with one thread: on a busy machine read those.
"""

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.bench.simulate_gossipy import MODELS, Contest, contest
from scripts.bench.simulate_work import averaging, fresh, language, pushing

SCHEDULES = ("one_peer_exponential", "random_regular")
ENGINES = ("loop", "batched", "auto")
BYTES = 1e9


def median(values: Sequence[float]) -> str:
    """Median with the smallest and the largest."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def measure_averaging(repeats: int) -> None:
    """1,000 nodes x 10,000 values and 10,000 x 1,000."""
    for nodes, values in ((1_000, 10_000), (10_000, 1_000)):
        for schedule in SCHEDULES:
            played = [fresh(averaging(schedule, nodes, values, 200)) for _ in range(repeats)]
            last = played[-1]
            print(
                f"{nodes} nodes x {values} values, {schedule}: {median([one.whole_s for one in played])} CPU-s, "
                f"{max(one.peak_bytes for one in played) / BYTES:.2f} GB; consensus distance "
                f"{last.final['consensus_distance']:.2e}, mean drift {last.final['mean_drift']:.2e}",
                flush=True,
            )


def measure_push_sum(repeats: int) -> None:
    """1,000 nodes x 10,000 values to 1e-6 of the spread at the start."""
    played = [fresh(pushing(1_000, 10_000, 125)) for _ in range(repeats)]
    start = math.sqrt(10_000)
    for one in played:
        print(
            f"push_sum, 1000 nodes x 10000 values: {one.whole_s:.3g} CPU-s, {one.peak_bytes / BYTES:.2f} GB; of the "
            f"start are left {one.final['consensus_distance'] / start:.2e}, mean drift "
            f"{one.final['mean_drift'] / start:.2e}",
            flush=True,
        )


def measure_growth(repeats: int) -> None:
    """CPU time over nodes."""
    for schedule in SCHEDULES:
        points: list[tuple[float, float]] = []
        for nodes in (100, 1_000, 10_000):
            costs = [fresh(averaging(schedule, nodes, 1_000, 30)).whole_s for _ in range(repeats)]
            points.append((math.log(nodes), math.log(statistics.median(costs))))
            print(f"{schedule}, {nodes} nodes x 1000 values x 30 rounds: {median(costs)} CPU-s", flush=True)
        fit = statistics.linear_regression(*zip(*points, strict=True))
        ends = (points[-1][1] - points[-2][1]) / (points[-1][0] - points[-2][0])
        print(f"{schedule}: CPU time grows with nodes^{fit.slope:.2f}, from 1,000 on with nodes^{ends:.2f}", flush=True)


def measure_engines(repeats: int) -> None:
    """Node-steps a CPU-second of the engines, in turns."""
    for nodes, rows, tokens in ((32, 1, 16), (128, 1, 32), (32, 16, 16), (4, 32, 32), (2, 1, 16)):
        turns = [{engine: fresh(language(engine, nodes, rows, tokens)) for engine in ENGINES} for _ in range(repeats)]
        for engine in ENGINES:
            rates = [turn[engine].rate for turn in turns]
            ratios = [turn[engine].rate / turn["loop"].rate for turn in turns]
            chosen = {str(turn[engine].engine) for turn in turns}
            print(
                f"{nodes} nodes x {rows} rows x {tokens} tokens, {engine}: {median(rates)} node-steps a CPU-s, "
                f"{median(ratios)} times loop ({', '.join(sorted(chosen))})",
                flush=True,
            )


def measure_gossipy(repeats: int, python: Path | None) -> None:
    """Node-rounds a CPU-second of both simulators, in turns."""
    if python is None or not python.exists():
        print("gossipy: skipped, no interpreter with gossipy-dfl at --gossipy-python")
        return
    for model in MODELS:
        for evaluated in (True, False):
            turns = [contest(Contest(model, evaluated=evaluated), python) for _ in range(repeats)]
            for name in turns[0]:
                ratios = [turn[name] / turn["gossipy"] for turn in turns]
                print(
                    f"{model}, {'10% evaluated' if evaluated else 'nothing evaluated'}, {name}: "
                    f"{median([turn[name] for turn in turns])} node-rounds a CPU-s, {median(ratios)} times gossipy",
                    flush=True,
                )


def main() -> None:
    """Prints the figures of the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "averaging": lambda chosen: measure_averaging(chosen.repeats),
        "push_sum": lambda chosen: measure_push_sum(chosen.repeats),
        "growth": lambda chosen: measure_growth(chosen.repeats),
        "engines": lambda chosen: measure_engines(chosen.repeats),
        "gossipy": lambda chosen: measure_gossipy(chosen.repeats, chosen.gossipy_python),
    }
    parser.add_argument("--part", nargs="*", choices=tuple(parts), default=list(parts))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--gossipy-python", type=Path, help="interpreter of an environment with gossipy-dfl 0.0.1")
    chosen = parser.parse_args()
    for part in chosen.part:
        parts[part](chosen)


if __name__ == "__main__":
    main()
