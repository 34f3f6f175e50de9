"""`gossipfl audit memorization`: what models recite of one node's passages, by arm, seed and distance.

    texts, model ── compare: arms × seeds, every last state attacked ──> memorization.json, .md, .png, .svg
    before/seed-N.json      the model before training, by the same questions

What a protection hides from those who average changes no state: masks and encryption leave all figures as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from gossipfl.config.loading import LoadedExperiment, change_experiment
from gossipfl.config.overriding import leaves
from gossipfl.core.json_text import json_text
from gossipfl.errors import ConfigError
from gossipfl.learning.memorization import prompt_lengths
from gossipfl.learning.pretraining import Show
from gossipfl.report.comparison import Comparison
from gossipfl.report.memorization import Memorization
from gossipfl.report.memorization_picture import NAME, draw_memorization
from gossipfl.report.memorizing import read_memorization
from gossipfl.studies.compare import compare
from gossipfl.studies.compare_executors import open_executor
from gossipfl.studies.compare_jobs import Advance
from gossipfl.studies.compare_plan import plan_orders, table_of
from gossipfl.studies.memorization_attack import ATTACK, attack_base, attack_run, canaries_of, check_passages
from gossipfl.studies.memorization_data import prepare
from gossipfl.studies.study_options import Terms, check_output

PROGRAM = "gossipfl.studies.memorization_run"
QUICK_ARMS, QUICK_SEEDS = 4, 1
SAME = ("model", "task", "data", "memorization", "simulation.nodes", "simulation.keep_states")
"""Fields that no arm sets: they say what is asked for, and of which model."""


def audit_memorization(
    experiment: LoadedExperiment,
    output: Path,
    terms: Terms,
    *,
    quick: bool = False,
    show: Callable[[Advance], None] = lambda _: None,
    show_pretraining: Show = lambda *_: None,
) -> Memorization:
    """Runs every arm with every seed, asks every node's last state for the canaries, and says what came of it.

    Args:
        experiment: with `data.canaries` and a section `compare`.
        output: new or empty; to resume, the folder of one that was stopped.
        quick: the first seed of the first four arms only.

    Raises:
        UserError: see `compare`, `prepare`, `canaries_of`, `check_passages`, `attack_run`; or arms differ in what is
            asked for.
        KeyboardInterrupt: it was stopped, and can be resumed.
    """
    _check(experiment, output, terms)
    wished = _with_states(prepare(experiment, show_pretraining), quick=quick)
    executor = partial(open_executor, program=PROGRAM)
    orders = plan_orders(wished, output)
    # model and passages are the same for every arm: the first one's will do
    firsts = {order.seed: order.loaded for order in reversed(orders)}
    check_passages(list(firsts.values()))
    comparison = compare(wished, output, resume=terms.resume, command=terms.command, show=show, executor=executor)
    before = {seed: _before(seed, loaded, output) for seed, loaded in sorted(firsts.items())}
    for order in (order for order in orders if order.is_done):
        # of a run that was stopped between its end and its attack
        attack_run(order.loaded, order.output)
    return _written(comparison, before, experiment.experiment.memorization.bleu)


def _check(loaded: LoadedExperiment, output: Path, terms: Terms) -> None:
    """What would be found only after the model is made."""
    canaries_of(loaded)
    prompt_lengths(loaded.experiment)
    for name, arm in table_of(loaded).arms.items():
        fields = (".".join(keys) for keys, _ in leaves(arm.set))
        if wrong := next((field for field in fields if f"{field}.".startswith(tuple(f"{one}." for one in SAME))), None):
            raise ConfigError(
                f"{loaded.path}: compare.arms.{name}.set: {wrong} is the same in all arms: they are asked for the same "
                "passages of the same model"
            )
    plan_orders(loaded, output)
    check_output(output, resume=terms.resume)


def _with_states(loaded: LoadedExperiment, *, quick: bool) -> LoadedExperiment:
    table = table_of(loaded)
    kept = change_experiment(loaded, {"simulation.keep_states": True}, source=str(loaded.path))
    if quick:
        arms = dict(list(table.arms.items())[:QUICK_ARMS])
        table = table.model_copy(update={"arms": arms, "seeds": table.seeds[:QUICK_SEEDS], "reference": None})
    return replace(kept, experiment=kept.experiment.model_copy(update={"compare": table}))


def _before(seed: int, loaded: LoadedExperiment, output: Path) -> Path:
    path = output / "before" / f"seed-{seed}.json"
    attack_base(loaded, path)
    return path


def _written(comparison: Comparison, before: Mapping[int, Path], bleu: float) -> Memorization:
    folder = comparison.output
    files = {"report": comparison.report, "result": folder / "memorization.json", "plot": folder / f"{NAME}.png"}
    named = {name: str(path) for name, path in files.items()}
    found = read_memorization(comparison, before, ATTACK, bleu=bleu, files=named)
    files["result"].write_text(json_text(found.as_json()) + "\n")
    (folder / "memorization.md").write_text(found.as_markdown())
    draw_memorization(found, folder)
    return found
