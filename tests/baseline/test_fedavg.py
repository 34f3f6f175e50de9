"""What a run of the baseline records, reports and refuses."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.baseline.flower_runs import adapter_of, centralized, lines_of, small
from tests.sim.training import NOISE, digits, load

from gossipfl.baseline.central import central_plan
from gossipfl.baseline.fedavg import fedavg
from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError, DataError, DivergedError, PrivacyError, StateError, TrainingError, UserError
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.report.runs import read_runs
from gossipfl.runs.progress import Progress


def test_a_run_leaves_the_folder_that_every_run_leaves(tmp_path: Path) -> None:
    result = centralized(tmp_path, small())
    (recorded,) = read_runs([result.output])
    assert len(recorded.graph) == 4
    summaries = [summary for summary, _ in recorded.evaluations]
    assert [summary.round for summary in summaries] == [0, 2, 3]
    assert summaries[-1].step == 12
    assert summaries[-1].test_accuracy == result.final["mean_accuracy"] == result.final["mean_model"]
    assert summaries[-1].consensus_distance == 0
    last = recorded.evaluations[-1].columns
    assert all(0 <= accuracy <= 1 for accuracy in last.own_accuracy)
    # clients tell what the task measures of their own parts
    assert len(set(last.column("own_macro_f1"))) > 1
    assert last.column("test_macro_f1")[0] == summaries[-1].figure("test_macro_f1") == result.final["mean_macro_f1"]
    assert result.as_json()["private"] is False


def test_it_learns(tmp_path: Path) -> None:
    result = centralized(tmp_path, small(training__phases=10, training__local_steps=10))
    first, last = lines_of(result)[0], lines_of(result)[-1]
    assert last["test_accuracy"] > first["test_accuracy"] + 0.3


def test_bytes_are_those_of_the_adapter_both_ways(tmp_path: Path) -> None:
    result = centralized(tmp_path, small())
    payload = adapter_of(result).nbytes
    assert payload * 6 < result.bytes_per_node < payload * 6 + 6 * 256


def test_virtual_time_is_that_of_the_slowest_client_and_its_transfers(tmp_path: Path) -> None:
    simulation = {
        "nodes": 4,
        "compute": {"step_s": 0.5, "slow": {"n2": 3.0}},
        "links": {"latency_s": 0.25, "bytes_per_s": 1000.0},
    }
    result = centralized(tmp_path, small(simulation=simulation, flower={"server_latency_s": 0.125}))
    transfers = result.bytes_per_node / 1000 + 6 * 0.25
    assert result.virtual_s == pytest.approx(3 * (4 * 0.5 * 3 + 0.125) + transfers)


def test_the_account_goes_over_all_rounds(tmp_path: Path) -> None:
    """Flower's example begins a new account every round and tells the ε of one."""
    result = centralized(tmp_path, small(privacy=NOISE))
    spent = [line["epsilon"] for line in lines_of(result)]
    # as many steps as a gossiping node of the same data takes
    assert spent[0] is None
    assert 0 < spent[1] < spent[2] == result.epsilon
    assert result.noise == "local"


def test_a_spent_budget_ends_training_and_not_the_run(tmp_path: Path) -> None:
    budget = {"level": "example", "target_epsilon": 3.0, "target_delta": 1e-3, "accountant": "rdp"}
    content = small(privacy=budget)
    result = centralized(tmp_path, content)
    assert result.epsilon is not None
    assert result.epsilon <= 3.0 * (1 + 1e-6)
    assert lines_of(result)[-1]["step"] == 12


def test_central_noise_is_composed_over_all_rounds_and_named(tmp_path: Path) -> None:
    noise = {"noise_multiplier": 4.0, "max_grad_norm": 0.5}
    quiet = centralized(tmp_path / "quiet", small())
    noisy = centralized(tmp_path / "noisy", small(flower={"central_noise": noise}))
    assert noisy.noise == "central"
    assert noisy.epsilon == pytest.approx(epsilon([Charge(1.0, 4.0, 3)], 1e-5))
    assert abs(adapter_of(noisy) - adapter_of(quiet)).max() > 0.1


def test_under_central_noise_an_update_of_nothing_is_one(tmp_path: Path) -> None:
    """Flower's clipping divides by the update's norm; what comes is the noise, as around any other update."""
    still = {"training__optimizer": "sgd", "training__learning_rate": 1e-30, "training__weight_decay": 0.0}
    noise = {"noise_multiplier": 1.0, "max_grad_norm": 0.5}
    result = centralized(tmp_path / "noisy", small(**still, training__phases=1, flower={"central_noise": noise}))
    added = adapter_of(result) - adapter_of(centralized(tmp_path / "quiet", small(**still, training__phases=1)))
    assert float(added.std()) == pytest.approx(0.5 / 4, rel=0.1)


def test_half_of_the_clients_train_in_a_round(tmp_path: Path) -> None:
    result = centralized(tmp_path, small(flower={"fraction": 0.5}, simulation__evaluate_every=1))
    assert [line["clients"] for line in lines_of(result)] == [0, 2, 2, 2]
    assert sum(lines_of(result, "nodes.jsonl")[-1]["step"]) == 3 * 2 * 4


EIGHT = small(simulation__nodes=8, data__split={"kind": "iid"}, model__hidden=[2])
"""Bulyan wants 4 f + 3 clients, and like QFedAvg a Python step for every value: few values."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float32]:
    """Where FedAvg leads."""
    return adapter_of(centralized(tmp_path_factory.mktemp("plain"), EIGHT))


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("FedAvgM", {"server_momentum": 0.5}),
        ("FedProx", {"proximal_mu": 1.0}),
        ("FedAdam", {"eta": 0.01}),
        ("FedAdagrad", {"eta": 0.01}),
        ("FedYogi", {"eta": 0.01}),
        ("FedMedian", {}),
        ("FedTrimmedAvg", {"beta": 0.25}),
        ("Krum", {"num_malicious_nodes": 1}),
        ("MultiKrum", {"num_malicious_nodes": 1, "num_nodes_to_select": 2}),
        ("Bulyan", {"num_malicious_nodes": 1}),
        ("QFedAvg", {"client_learning_rate": 0.1, "q": 0.2}),
    ],
)
@pytest.mark.slow
def test_flowers_other_strategies_run_and_are_not_fedavg(
    tmp_path: Path, plain: NDArray[np.float32], strategy: str, options: dict[str, Any]
) -> None:
    other = centralized(tmp_path, {**EIGHT, "flower": {"strategy": strategy, "options": options}})
    change = abs(plain - adapter_of(other)).max()
    assert math.isfinite(change)
    assert change > 1e-5


def test_a_strong_pull_of_fedprox_keeps_clients_where_they_were(tmp_path: Path) -> None:
    sgd = {"training__optimizer": "sgd", "training__learning_rate": 0.1, "training__weight_decay": 0.0}
    moved = [
        float(abs(adapter_of(one)).sum())
        for one in (
            centralized(
                tmp_path / str(mu), small(**sgd, flower={"strategy": "FedProx", "options": {"proximal_mu": mu}})
            )
            for mu in (0.0, 9.0)
        )
    ]
    plain = centralized(tmp_path / "plain", small(**sgd))
    assert float(abs(adapter_of(plain)).sum()) == moved[0] != moved[1]


def test_progress_is_told_after_each_round(tmp_path: Path) -> None:
    seen: list[Progress] = []
    fedavg(load(tmp_path, small()), tmp_path / "run", show=seen.append)
    assert [progress.rounds for progress in seen] == [0, 1, 2, 3]
    assert [progress.steps for progress in seen] == [0, 16, 32, 48]


def test_a_finished_run_is_not_run_again_and_another_is_not_mixed_in(tmp_path: Path) -> None:
    first = centralized(tmp_path, small())
    seen: list[Progress] = []
    again = fedavg(load(tmp_path, small()), first.output, resume=True, show=seen.append)
    assert (again, seen) == (first, [])
    with pytest.raises(StateError, match="another configuration"):
        fedavg(load(tmp_path, small(seed=1)), first.output, resume=True)
    with pytest.raises(DataError, match="not empty"):
        fedavg(load(tmp_path, small()), first.output)


def test_a_run_that_was_stopped_begins_anew(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.rounds == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fedavg(load(tmp_path, small()), tmp_path / "run", show=stop)
    resumed = fedavg(load(tmp_path, small()), tmp_path / "run", resume=True)
    whole = centralized(tmp_path / "whole", small())
    assert lines_of(resumed) == lines_of(whole)


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    refused = []

    def second(_progress: Progress) -> None:
        with pytest.raises(StateError) as caught:
            fedavg(load(tmp_path, small()), tmp_path / "run", resume=True)
        refused.append(str(caught.value))

    fedavg(load(tmp_path, small()), tmp_path / "run", show=second)
    assert len(refused) == 4
    assert "\n" not in refused[0]


@pytest.mark.parametrize(("nominal", "composed"), [(8, 57.97), (4, 21.90), (2, 9.06), (1, 3.99)])
def test_noise_for_one_round_costs_what_twenty_rounds_add_up_to(nominal: float, composed: float) -> None:
    """The common error of tutorials; the figures are those of algorithms.md."""
    content = digits(training__phases=20, flower={"central_noise": {"nominal_epsilon": nominal, "max_grad_norm": 1.0}})
    plan = central_plan(Experiment.model_validate(content))
    assert plan is not None
    assert plan.epsilon == pytest.approx(composed, rel=0.01)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"flower": {"strategy": "FedBest"}}, r"flower\.strategy: 'FedBest' is unknown; .*FedAvg"),
        ({"flower": {"options": {"eta": 1.0}}}, r"flower\.options: FedAvg takes no 'eta'"),
        (
            {"flower": {"strategy": "FedTrimmedAvg", "options": {"beta": 0.7}}},
            r"flower\.options: FedTrimmedAvg: .*0\.5",
        ),
        ({"flower": {"strategy": "QFedAvg"}}, r"flower\.options: QFedAvg: .*client_learning_rate"),
        ({"flower": {"central_noise": {"noise_multiplier": 1, "max_grad_norm": 1}}, "privacy": NOISE}, "central_noise"),
        (
            {"flower": {"strategy": "FedAdam", "central_noise": {"noise_multiplier": 1, "max_grad_norm": 1}}},
            r"flower\.central_noise: its ε is that of a plain mean, .*FedAdam .*FedAvg or FedProx is wanted",
        ),
        (
            {
                "flower": {
                    "strategy": "FedAvgM",
                    "options": {"server_learning_rate": 10.0},
                    "central_noise": {"noise_multiplier": 1, "max_grad_norm": 1},
                }
            },
            "FedAvgM does not make",
        ),
        (
            {"flower": {"weighting": "examples", "central_noise": {"noise_multiplier": 1, "max_grad_norm": 1}}},
            r"clients of equal weight; flower\.weighting is examples, equal is wanted",
        ),
        ({"flower": {"strategy": "QFedAvg"}, "privacy": NOISE}, "QFedAvg sends losses on private data"),
    ],
)
def test_mistakes_are_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        centralized(tmp_path, small(**changes))
    assert "\n" not in str(caught.value)


TOO_LIKELY = {"noise_multiplier": 1.0, "max_grad_norm": 1.0, "target_delta": 0.5}


@pytest.mark.parametrize(
    ("flower", "kind"), [({"strategy": "FedBest"}, ConfigError), ({"central_noise": TOO_LIKELY}, PrivacyError)]
)
def test_a_strategy_is_refused_before_a_process_is_started_for_it(
    tmp_path: Path, flower: dict[str, Any], kind: type[UserError]
) -> None:
    with pytest.raises(kind):
        centralized(tmp_path, small(flower=flower), "deployment")
    assert not list((tmp_path / "deployment").glob("flower-*.log"))


def test_an_unknown_mode_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--mode: 'inproces' is unknown; .*inprocess"):
        fedavg(load(tmp_path, small()), tmp_path / "run", mode="inproces")


def test_a_mode_of_ones_own_is_called(tmp_path: Path) -> None:
    own = fedavg(load(tmp_path, small()), tmp_path / "own", mode="gossipfl.baseline.inprocess:run_inprocess")
    assert (adapter_of(own) == adapter_of(centralized(tmp_path, small()))).all()
    with pytest.raises(ConfigError, match="--mode: 'gossipfl:run' cannot be imported"):
        fedavg(load(tmp_path, small()), tmp_path / "run", mode="gossipfl:run")


def test_training_that_diverges_is_an_error_in_the_clients_words(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"training\.learning_rate 1e\+30 is too high"):
        centralized(tmp_path, small(training__learning_rate=1e30, training__optimizer="sgd"))


WILD = {"strategy": "FedAvgM", "options": {"server_learning_rate": 1e39}}


def test_a_strategy_that_diverges_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        DivergedError, match=r"round 1: flower\.strategy FedAvgM .* not finite: .*flower\.options"
    ) as caught:
        centralized(tmp_path, small(flower=WILD))
    assert "\n" not in str(caught.value)


def test_without_the_extra_the_command_to_install_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = [path for path in sys.path if not (Path(path) / "flwr").exists()]
    monkeypatch.setattr(sys, "path", hidden)
    monkeypatch.delitem(sys.modules, "flwr", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'gossipfl\[flower\]'"):
        fedavg(load(tmp_path, small()), tmp_path / "run")
