"""What the runs of the study of robustness say, as markdown.

points    of accuracy in percent by which an arm is below plain gossip without attackers, of the honest nodes, paired by
          seed; of a language model those of the tokens it says first, each after the true ones before it
gain      of a language model also: percent of what plain gossip without attackers takes off the loss
trigger   part of the test records with the trigger of which honest nodes say what the attackers want
"""

import math
from collections.abc import Callable, Mapping
from statistics import mean

from gossipfl.report.comparison import ArmSummary, Comparison, Done
from gossipfl.report.recorded import Summary
from gossipfl.report.statistics import Difference, paired_difference
from gossipfl.report.tables import markdown_table
from gossipfl.studies.robustness_arms import PLAIN, Arm, Part

BEARABLE, BROKEN = 5.0, 20.0
"""Points that robust mixing may lose under an attack; points after which plain gossip has not borne one."""
FAR = 1000.0
"""Points that a loss without end makes; how many more does not matter."""
Arms = Mapping[str, ArmSummary]
Scores = Callable[[ArmSummary], dict[int, float]]
_SAID = "test_token_accuracy"
"""How good an arm is, by seed."""


def reading(found: Comparison, part: Part) -> str:
    """For each measure a row an attack, a column a mixing: what is lost, mean and 95% interval over the seeds."""
    arms = {arm.name: arm for arm in found.arms}
    reference = arms[Arm("none", PLAIN).name]
    said = [f"## {part.title}", _kept(reference)]
    for measure, scores in _measures(reference).items():
        said.append(_table(measure, scores, part, arms))
        if len(part.attacks) > 1:
            said.append("\n".join(f"- {_verdict(mixing, measure, scores, part, arms)}" for mixing in part.mixings))
    if "backdoor" in part.attacks:
        rates = (f"{mixing} {_rate(arms[Arm('backdoor', mixing).name])}" for mixing in part.mixings)
        said.append(f"Trigger success of honest nodes: {', '.join(rates)}.")
    return "\n\n".join(said) + "\n"


def _measures(reference: ArmSummary) -> dict[str, Scores]:
    """By what is lost: points of the accuracy there is, and where there is no class to tell a part of the gain."""
    told = [key for key in ("test_accuracy", _SAID) if _knows(reference, key)]
    found: dict[str, Scores] = {}
    if told:
        found["points"] = lambda arm: {seed: 100 * _last(done).figure(told[0]) for seed, done in arm.done.items()}
    if "test_accuracy" not in told:
        gains = {seed: _gain(done) for seed, done in reference.done.items()}
        found["% of the gain"] = lambda arm: {
            seed: 100 * _gain(done) / gains[seed] for seed, done in arm.done.items() if seed in gains
        }
    return found


def _knows(arm: ArmSummary, key: str) -> bool:
    return all(math.isfinite(_last(done).figure(key)) for done in arm.done.values())


def _table(measure: str, scores: Scores, part: Part, arms: Arms) -> str:
    reference = arms[Arm("none", PLAIN).name]
    rows = [
        [attack, *(_cell(arms[Arm(attack, mixing).name], reference, scores) for mixing in part.mixings)]
        for attack in part.attacks
    ]
    return markdown_table([f"{measure} lost", *part.mixings], rows)


def _lost(arm: ArmSummary, reference: ArmSummary, scores: Scores) -> Difference:
    """Over the seeds that both have."""
    return paired_difference(scores(reference), scores(arm))


def _gain(done: Done) -> float:
    return done.run.evaluations[0].summary.test_loss - _last(done).test_loss


def _last(done: Done) -> Summary:
    return done.run.evaluations[-1].summary


def _kept(reference: ArmSummary) -> str:
    figures = [_last(done) for done in reference.done.values()]
    first = mean(done.run.evaluations[0].summary.test_loss for done in reference.done.values())
    if _knows(reference, "test_accuracy"):
        return f"Plain gossip without attackers: accuracy {100 * mean(each.test_accuracy for each in figures):.1f}%."
    said = f"Plain gossip without attackers: loss {first:.3f} to {mean(each.test_loss for each in figures):.3f}"
    if _knows(reference, _SAID):
        before = mean(done.run.evaluations[0].summary.figure(_SAID) for done in reference.done.values())
        after = mean(each.figure(_SAID) for each in figures)
        said += f", {100 * before:.1f} to {100 * after:.1f}% of the tokens said first"
    return f"{said}."


def _cell(arm: ArmSummary, reference: ArmSummary, scores: Scores) -> str:
    apart = _lost(arm, reference, scores)
    notes = f" ({len(arm.faults)} of {len(arm.trials)} diverged)" if arm.faults else ""
    if apart.mean is None:
        return notes.strip() or "no seed in common"
    if arm is reference:
        return f"0{notes}"
    ends = "" if apart.low is None or apart.high is None else f" [{_points(apart.low)}, {_points(apart.high)}]"
    return f"{_points(apart.mean)}{ends}{notes}"


def _points(value: float) -> str:
    if abs(value) > FAR:
        return f"{'−' if value < 0 else ''}>{FAR:.0f}"
    # adding nothing makes 0 of −0
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def _verdict(mixing: str, measure: str, scores: Scores, part: Part, arms: Arms) -> str:
    """How many attacks it bears, by the mean and by the interval, and what the worst one costs."""
    reference = arms[Arm("none", PLAIN).name]
    attacks = [attack for attack in part.attacks if attack != "none"]
    # a run without a result has lost everything
    found = {
        attack: Difference(math.inf, None, None, 0) if arms[Arm(attack, mixing).name].faults else apart
        for attack in attacks
        if (apart := _lost(arms[Arm(attack, mixing).name], reference, scores)).mean is not None
        or arms[Arm(attack, mixing).name].faults
    }
    means = {attack: apart.mean for attack, apart in found.items() if apart.mean is not None}
    borne = sum(value <= BEARABLE for value in means.values())
    surely = sum(apart.high is not None and apart.high <= BEARABLE for apart in found.values())
    broken = sum(value >= BROKEN for value in means.values())
    worst = max(means, key=lambda attack: means[attack])
    cost = "no result" if math.isinf(means[worst]) else f"{_points(means[worst])} lost"
    return (
        f"{mixing}: at most {BEARABLE:g} {measure} lost under {borne} of {len(attacks)} attacks "
        f"(with its whole interval under {surely}), at least {BROKEN:g} under {broken}; worst {worst}, {cost}"
    )


def _rate(arm: ArmSummary) -> str:
    rates = [_last(done).trigger_success for done in arm.done.values()]
    return f"{mean(rates):.2f} ({min(rates):.2f} to {max(rates):.2f})" if rates else "unknown"
