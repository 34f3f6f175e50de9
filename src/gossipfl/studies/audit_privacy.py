"""`gossipfl audit privacy`: what ε is at least, from one run with canaries, beside the ε that is claimed.

    experiment + audit: ── one run ──> what each observer saw ── guesses ──> lower bounds of ε      claimed ≥ each?
                        └─ shadow runs, other lots and noise ──> membership inference, by loss and likelihood ratio

A claim that is refuted is a mistake in the mechanism, the account or the theory. One that is not is no proof: a
stronger attack may be waiting. Every bound holds with `audit.confidence` by itself; a claim is refuted only with that
confidence over all observers together.

Source: Steinke, Nasr & Jagielski (2023).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gossipfl.config.loading import LoadedExperiment
from gossipfl.core.rng import generator
from gossipfl.errors import ConfigError
from gossipfl.learning.planted import half
from gossipfl.privacy.audit_bounds import LowerBound, best_bound, p_value
from gossipfl.privacy.membership import Roc, ratio_of_losses, roc
from gossipfl.studies.audit_run import AuditRun, Lots, Stage, set_stage
from gossipfl.studies.audit_scores import attacks_on
from gossipfl.studies.audit_views import Observer

Attack = Literal["loss", "likelihood-ratio"]
ATTACKS: tuple[Attack, ...] = ("loss", "likelihood-ratio")
NO_CLAIM_DELTA = 1e-5
"""δ of the lower bound where there is no claim."""


@dataclass(frozen=True, slots=True)
class AuditedView:
    """What one observer's guesses show."""

    observer: Observer
    bound: LowerBound


@dataclass(frozen=True, slots=True)
class Membership:
    """How well one observer tells members from others."""

    observer: Observer
    attack: Attack
    roc: Roc


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What an audit came to.

    Attributes:
        stage: who had the canaries, who guessed.
        epsilon_claimed: of one record; None without privacy.
        delta: of claim and bounds.
        views: nearest first.
        memberships: of every observer and attack; none without `audit.members`.
        charged, payable: steps (at level update phases) that the account was charged for, and that were done.
    """

    stage: Stage
    epsilon_claimed: float | None
    delta: float
    views: tuple[AuditedView, ...]
    memberships: tuple[Membership, ...]
    charged: int
    payable: int

    @property
    def epsilon_lower_bound(self) -> float:
        """Of the observer that is nearest to the data."""
        return self.views[0].bound.epsilon

    @property
    def holds(self) -> bool:
        """No observer's guesses refute the claim, and nothing was done that was not paid for.

        Guarantees:
            A claim that is right is refuted with a chance of 1 − `audit.confidence` at most, by all observers together.
        """
        return self.payable <= self.charged and not any(self._refuted_by(view.bound) for view in self.views)

    def _refuted_by(self, bound: LowerBound) -> bool:
        if self.epsilon_claimed is None:
            return False
        chance = p_value(bound.guesses, epsilon=self.epsilon_claimed, delta=self.delta)
        return chance * bound.tests * len(self.views) < 1 - self.stage.config.confidence

    def as_json(self) -> dict[str, object]:
        """The command's result."""
        config, experiment = self.stage.config, self.stage.loaded.experiment
        return {
            "epsilon_claimed": self.epsilon_claimed,
            "epsilon_lower_bound": self.epsilon_lower_bound,
            "delta": self.delta,
            "confidence": config.confidence,
            "holds": self.holds,
            "level": experiment.privacy.level,
            "seed": experiment.seed,
            "owner": self.stage.owner,
            "kind": config.kind,
            "canaries": config.canaries,
            "steps_charged": self.charged,
            "steps_done": self.payable,
            "views": [_view_json(view) for view in self.views],
            "membership": [_membership_json(one) for one in self.memberships],
        }


def _view_json(view: AuditedView) -> dict[str, object]:
    bound = view.bound
    return {
        "hops": view.observer.hops,
        "node": view.observer.node,
        "epsilon_lower_bound": bound.epsilon,
        "attack": bound.attack,
        "guesses": bound.guesses.made,
        "correct": bound.guesses.correct,
        "tests": bound.tests,
    }


def _membership_json(one: Membership) -> dict[str, object]:
    return {
        "hops": one.observer.hops,
        "node": one.observer.node,
        "attack": one.attack,
        "auc": one.roc.auc,
        "true_rate_at_1pct": one.roc.true_rate_at(),
    }


def audit_privacy(
    loaded: LoadedExperiment, *, attacks: Sequence[Attack] = ATTACKS, show: Callable[[str], None] = lambda _: None
) -> AuditResult:
    """Audits an experiment by simulating it with canaries.

    Args:
        loaded: with a section `audit`.
        attacks: of membership inference; likelihood-ratio needs shadow runs, `audit.shadow_pairs` of them twice.
        show: told which run begins.

    Guarantees:
        The same experiment gives the same result: lots, noise and batches follow from its seed.

    Raises:
        UserError: the experiment plants no canaries, or whatever is wrong with it.
    """
    stage = set_stage(loaded)
    config = stage.config
    pairs = config.shadow_pairs if "likelihood-ratio" in attacks and config.members else 0
    if pairs and loaded.experiment.privacy.level == "correlated":
        raise ConfigError(
            f"{loaded.path}: audit.shadow_pairs {pairs}: shadow runs would repeat the noise that neighbors share at "
            "privacy.level correlated; audit.shadow_pairs 0 was expected"
        )
    runs = []
    for number, lots in enumerate(_lots(stage, pairs)):
        show(f"run {number + 1} of {1 + 2 * pairs}: {'a shadow' if number else 'canaries'}")
        runs.append(stage.run(lots))
    run, *shadows = runs
    wished = [attack for attack in attacks if config.members and (pairs or attack == "loss")]
    delta = _delta(stage, run)
    return AuditResult(
        stage=stage,
        epsilon_claimed=run.epsilon,
        delta=delta,
        views=_views(stage, run, shadows, delta),
        memberships=_memberships(stage, wished, run, shadows),
        charged=run.charged,
        payable=run.payable,
    )


def _lots(stage: Stage, pairs: int) -> list[Lots]:
    """Of the audited run, and of shadow runs, each record being in one of a pair and out of the other."""
    config, seed = stage.config, stage.loaded.experiment.seed

    def drawn(name: str) -> Lots:
        draw = generator(seed, purpose=f"audit lots{name}")
        return Lots(name, draw.random(config.canaries) < 0.5, half(config.members, draw))

    firsts = [drawn(f" shadow {pair}") for pair in range(pairs)]
    seconds = [Lots(f"{one.name} turned", ~one.included, ~one.members) for one in firsts]
    return [drawn(""), *firsts, *seconds]


def _delta(stage: Stage, run: AuditRun) -> float:
    if stage.config.delta is not None:
        return stage.config.delta
    return NO_CLAIM_DELTA if run.plan is None else run.plan.delta


def _views(stage: Stage, run: AuditRun, shadows: Sequence[AuditRun], delta: float) -> tuple[AuditedView, ...]:
    config, included = stage.config, run.lots.included
    return tuple(
        AuditedView(
            sight.observer,
            best_bound(
                attacks_on(stage, run, shadows, place),
                included,
                delta=delta,
                confidence=config.confidence,
                guesses=config.guesses,
            ),
        )
        for place, sight in enumerate(run.sights)
    )


def _memberships(
    stage: Stage, attacks: Sequence[Attack], run: AuditRun, shadows: Sequence[AuditRun]
) -> tuple[Membership, ...]:
    found = []
    for place, sight in enumerate(run.sights):
        for attack in attacks:
            if attack == "loss":
                scores = -sight.losses
            else:
                seen = np.array([shadow.sights[place].losses for shadow in shadows])
                members = np.array([shadow.lots.members for shadow in shadows])
                scores = ratio_of_losses(sight.losses, seen, members, classifies=stage.classifies)
            found.append(Membership(sight.observer, attack, roc(scores, run.lots.members)))
    return tuple(found)
