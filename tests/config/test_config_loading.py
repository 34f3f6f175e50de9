"""peers.yaml and experiment.yaml from files to values; every mistake is one line."""

from pathlib import Path

import pytest

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import dump_experiment, load_experiment, load_peers
from gossipfl.config.topology import TopologyConfig
from gossipfl.errors import ConfigError

EXPERIMENT = """\
model: {source: some/model}
task: {kind: sequence-classification, labels: [a, b]}
training: {learning_rate: 1e-3, phases: 4}
privacy: {level: example, target_epsilon: 8}
topology: {kind: star}
"""
PEERS = """\
experiment: runs/experiment.yaml
nodes:
  - {name: north, address: "10.0.0.1:7400", data: north.csv}
  - {name: south, address: "10.0.0.2:7400"}
  - {name: lab}
"""


@pytest.fixture
def peers_file(tmp_path: Path) -> Path:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/experiment.yaml").write_text(EXPERIMENT)
    path = tmp_path / "peers.yaml"
    path.write_text(PEERS)
    return path


def refusal(path: Path, text: str, *overrides: str) -> str:
    """What is said of peers.yaml with this text, without the folder."""
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_peers(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_the_experiment_is_found_relative_to_peers(peers_file: Path) -> None:
    loaded = load_peers(peers_file)
    assert loaded.names == ("north", "south", "lab")
    assert loaded.folder == peers_file.parent
    assert loaded.text == PEERS
    assert loaded.experiment.folder == peers_file.parent / "runs"
    assert loaded.experiment.text == EXPERIMENT
    assert loaded.experiment.experiment.training.phases == 4
    assert loaded.experiment.experiment.training.learning_rate == 1e-3


def test_an_inline_experiment_is_the_same_value_with_peers_folder(peers_file: Path) -> None:
    by_path = load_peers(peers_file)
    inline = "experiment:\n" + "".join(f"  {line}\n" for line in EXPERIMENT.splitlines())
    peers_file.write_text(PEERS.replace("experiment: runs/experiment.yaml\n", inline))
    loaded = load_peers(peers_file)
    assert loaded.experiment.experiment == by_path.experiment.experiment
    assert loaded.experiment.folder == peers_file.parent


def test_peers_topology_goes_before_the_experiments_and_overrides_before_both(peers_file: Path) -> None:
    kept = load_peers(peers_file).experiment
    assert (kept.experiment.topology.kind, kept.topology_folder) == ("star", peers_file.parent / "runs")
    peers_file.write_text(PEERS + "topology: {kind: path, weights: uniform}\n")
    loaded = load_peers(peers_file).experiment
    assert loaded.experiment.topology == TopologyConfig(kind="path", weights="uniform")
    assert loaded.topology_folder == peers_file.parent
    overridden = load_peers(peers_file, ["topology.kind=complete"]).experiment.experiment.topology
    assert overridden == TopologyConfig(kind="complete", weights="uniform")


def test_an_override_sets_one_field_and_the_last_one_holds(peers_file: Path) -> None:
    path = peers_file.parent / "runs/experiment.yaml"
    overrides = ["training.phases=7", "training.phases=9", "gossip.codec=fp32", "task.labels=[x, y, z]"]
    experiment = load_experiment(path, overrides).experiment
    assert experiment.training.phases == 9
    assert experiment.training.learning_rate == 1e-3
    assert experiment.task.labels == ("x", "y", "z")


def test_an_experiment_dumped_and_loaded_is_equal(tmp_path: Path, peers_file: Path) -> None:
    experiment = load_peers(peers_file).experiment.experiment
    (tmp_path / "again.yaml").write_text(dump_experiment(experiment))
    assert load_experiment(tmp_path / "again.yaml").experiment == experiment


def test_every_field_is_dumped(peers_file: Path) -> None:
    text = dump_experiment(load_peers(peers_file).experiment.experiment)
    for section in Experiment.model_fields:
        assert f"\n{section}:" in f"\n{text}"
    assert "staleness_discount" in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("nodes:", "nods:", "peers.yaml: nods: unknown key, did you mean 'nodes'? (and 1 more)"),
        ("data: north", "dta: north", "peers.yaml: nodes[0].dta: unknown key, did you mean 'data'?"),
        ("name: lab", "qq: lab", "peers.yaml: nodes[2].qq: unknown key, known here: name, address, listen, certifi"),
        ("name: lab", "name: south", "peers.yaml: nodes: name 'south' is given to more than one node"),
        ("10.0.0.2", "10.0.0.1", "peers.yaml: nodes: address '10.0.0.1:7400' is given to more than one node"),
        ("10.0.0.2:7400", "10.0.0.2", "peers.yaml: nodes[1].address: '10.0.0.2' is no HOST:PORT with a port from 1"),
        ("10.0.0.2:7400", "10.0.0.2:99999", "peers.yaml: nodes[1].address: '10.0.0.2:99999' is no HOST:PORT"),
        ("name: lab", "{}", "peers.yaml, line 5"),
        ("name: lab", "name: no", "peers.yaml: nodes[2].name: False, should be a valid string (write it in quotes)"),
        ("name: lab", "name: the lab", "peers.yaml: nodes[2].name: 'the lab', String should match pattern"),
        ("runs/experiment.yaml", "nope.yaml", "nope.yaml: no such file"),
        ("runs/experiment.yaml", "3", "peers.yaml: experiment: 3, should be a path or the experiment itself"),
        ("runs/experiment.yaml", "{modl: 1}", "peers.yaml: experiment.modl: unknown key, did you mean 'model'?"),
        ("experiment: runs/experiment.yaml", "", "peers.yaml: experiment is missing, it must be given"),
    ],
)
def test_a_mistake_in_peers_is_named(peers_file: Path, old: str, new: str, said: str) -> None:
    assert refusal(peers_file, PEERS.replace(old, new)).startswith(said)


def test_two_spellings_of_one_loopback_port_are_a_duplicate(peers_file: Path) -> None:
    text = PEERS.replace("10.0.0.1:7400", "localhost:7400").replace("10.0.0.2:7400", "127.0.0.1:7400")
    assert "address '127.0.0.1:7400' is given to more than one node" in refusal(peers_file, text)


def test_no_nodes_are_too_few(peers_file: Path) -> None:
    text = "experiment: runs/experiment.yaml\nnodes: []\n"
    assert refusal(peers_file, text) == "peers.yaml: nodes: nothing given, should have at least 1 item"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.phases=-3", "training.phases: -3, should be greater than 0"),
        ("training.phses=3", "training.phses: unknown key, did you mean 'phases'?"),
        ("trainin.phases=3", "trainin: unknown key, did you mean 'training'?"),
        ("training.optimizer=sgdd", "training.optimizer: 'sgdd', should be 'sgd', 'adam' or 'adamw'"),
        ("training.learning_rate=.inf", "training.learning_rate: inf, should be a finite number"),
        ("task=3", "task: 3, should be a section with keys of its own"),
        ("task.labels=[a, a]", "task.labels: classification needs at least two distinct labels"),
        ("task.labels=[yes, no]", "task.labels[0]: True, should be a valid string (write it in quotes) (and 1 more)"),
        ("privacy.level=none", "privacy: level none takes neither target_epsilon nor noise_multiplier"),
        ("privacy.nominal_epsilon=2", "privacy: nominal_epsilon is for level update, not example"),
        ("training.dropout=0.1", "training.dropout must be 0 with privacy"),
        ("topology.schedule=base", "topology.schedule base changes from round to round, and wait_free nodes count"),
    ],
)
def test_a_mistake_in_an_override_is_named(peers_file: Path, override: str, said: str) -> None:
    prefix = f"runs/experiment.yaml with --set {override}: "
    assert refusal(peers_file, PEERS, override).startswith(prefix + said)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("phases", "--set 'phases': FIELD=VALUE was expected"),
        ("=3", "--set '=3': FIELD=VALUE was expected"),
        ("a..b=3", "--set 'a..b=3': FIELD=VALUE was expected"),
        ("model.source.x=1", "--set 'model.source.x=1': source holds 'some/model', it has no fields"),
        ("training.phases=[", "--set 'training.phases=[', line 1"),
    ],
)
def test_an_override_that_is_none_is_said(peers_file: Path, override: str, said: str) -> None:
    assert refusal(peers_file, PEERS, override).startswith(said)


UPDATE = "privacy: {level: update, noise_multiplier: 1}"


def test_plain_steps_may_drop_out_and_clip_at_level_update(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT.replace("privacy: {level: example, target_epsilon: 8}", UPDATE))
    training = load_experiment(path, ["training.dropout=0.1", "training.max_grad_norm=2"]).experiment.training
    assert (training.dropout, training.max_grad_norm) == (0.1, 2.0)


@pytest.mark.parametrize("more", ["target_epsilon: 8", "nominal_epsilon: 8", "noise_multiplier: null"])
def test_the_noise_of_level_update_is_given_in_one_way(tmp_path: Path, more: str) -> None:
    path = tmp_path / "experiment.yaml"
    privacy = UPDATE.replace("noise_multiplier: 1", more if "null" in more else f"noise_multiplier: 1, {more}")
    path.write_text(EXPERIMENT.replace("privacy: {level: example, target_epsilon: 8}", privacy))
    with pytest.raises(ConfigError, match="level update needs target_epsilon, noise_multiplier or nominal_epsilon"):
        load_experiment(path)


def test_nothing_trains_without_privacy_silently(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT.replace("privacy: {level: example, target_epsilon: 8}\n", ""))
    with pytest.raises(ConfigError, match="privacy is missing, it must be given"):
        load_experiment(path)


def test_a_long_value_is_cut(peers_file: Path) -> None:
    said = refusal(peers_file, PEERS, f"training.phases={'x' * 500}")
    assert len(said.partition(": training")[2]) < 200


def test_the_example_peers_file_loads() -> None:
    loaded = load_peers(Path(__file__).parents[2] / "topologies/peers.example.yaml")
    assert loaded.names == ("north", "south", "east", "lab")
    assert loaded.peers.nodes[2].address is None
