"""A phone in gossip: what `scripts/phone` says."""

import json
import math
from pathlib import Path

import pytest
import yaml

from gossipfl.studies.phone import PHONE, Trial, found_in, main, table

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "straggler.yaml"


def test_the_gain_is_taken_seed_by_seed() -> None:
    found = found_in([Trial(seed, 0.3 + 0.1 * seed, 0.5 + 0.1 * seed, 0.9) for seed in range(3)])
    assert found.gain.mean == pytest.approx(0.2)
    assert found.gain.low == pytest.approx(0.2)
    assert table(found).splitlines()[-1] == "gain 0.200, 95% interval 0.200 to 0.200, 3 seeds"
    assert "interval" not in table(found_in([Trial(0, 0.3, 0.4, math.nan)]))


@pytest.mark.slow
def test_it_takes_part_with_its_own_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = yaml.safe_load(EXPERIMENT.read_text())
    content["training"].update(phases=5, threads=1)
    content["gossip"].update(settle_rounds=2)
    content["simulation"].update(nodes=6)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    output = tmp_path / "study"
    with pytest.raises(SystemExit, match="0"):
        main(["--experiment", str(path), "--seeds", "2", "--output", str(output), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((output / "result.json").read_text())
    # with a fifth of the steps of a whole run already
    assert found["gain"]["mean"] > 0.1
    place = int(PHONE[1:])
    alone, gossip = (
        [json.loads(line) for line in (output / f"{name}-0" / "nodes.jsonl").read_text().splitlines()]
        for name in ("alone", "wait_free")
    )
    assert alone[-1]["step"][place] == gossip[-1]["step"][place] < 25
    assert {*gossip[-1]["step"]} - {gossip[-1]["step"][place]} == {25}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--experiment", "nowhere.yaml"], "nowhere.yaml"),
        (["--seeds", "0"], "--seeds: one seed at least"),
        (["--set", "gossip.protocl=sync"], "did you mean 'protocol'"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    named = ["--experiment", str(EXPERIMENT), "--output", str(tmp_path / "study"), *arguments]
    with pytest.raises(SystemExit, match="2"):
        main(named)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line
