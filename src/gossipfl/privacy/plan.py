"""What privacy a run will have: δ, sample rate, noise and ε, known before the first step.

level     is charged        with probability q a unit takes part, q =
example   a step            min(1, batch_size / units)
update    a phase           1, the unit being all data of the node; so at level correlated

Where some units are drawn more seldom (`Drawing`), the others are drawn the more often: batch_size / Σ shares.

δ ≤ 1 / (2 · units), by default min(1e-3, that)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.errors import PrivacyError
from gossipfl.privacy.accounting import Charge, Method, bound, noise_multiplier_for
from gossipfl.privacy.clipping_norm import Clipping, clipping_of
from gossipfl.privacy.pairs.exposed import exposed
from gossipfl.privacy.pairs.exposure import Exposure
from gossipfl.privacy.pairs.terms import PairTerms

LARGEST_DELTA = 1e-3


@dataclass(frozen=True, slots=True)
class Drawing:
    """How often units are drawn, where that differs; at level example.

    Attributes:
        weight: Σ of the units' shares, each how often it is drawn compared to those drawn most.
        shares: of each part of the data, its largest.
    """

    weight: float
    shares: Sequence[float]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Noise shared with neighbors.

    Attributes:
        noise_multiplier: p, its deviation on each edge over `max_grad_norm`.
        exposure: what adversaries face with it.
    """

    noise_multiplier: float
    exposure: Exposure


@dataclass(frozen=True, slots=True)
class Plan:
    """The privacy of one node's run.

    Attributes:
        level: name of the mechanism.
        sample_rate: q, probability that a unit is in a batch, of those drawn most; 1 at level update.
        noise_multiplier: σ, noise deviation over `max_grad_norm`.
        max_grad_norm: C, clipping norm of one unit's gradient; at level update of a phase's increment.
        delta: δ.
        steps: charges planned: optimizer steps; at level update phases.
        units: records (or what `data.unit` says) of this node, public by assumption.
        target_epsilon: ε wished for, None when the noise was given.
        epsilon: ε after the planned steps, what was spent before included; an upper bound.
        accountant: as configured.
        method: how `epsilon` was found; `rdp` under accountant `prv` means that the tight one could not be had.
        clipping: how gradients are clipped, and noised for it; None: to `max_grad_norm`, with `noise_multiplier`.
        pairs: at level correlated, the noise shared with neighbors.
        weight: see `Drawing`; None: all units are drawn as often.
    """

    level: str
    sample_rate: float
    noise_multiplier: float
    max_grad_norm: float
    delta: float
    steps: int
    units: int
    target_epsilon: float | None
    epsilon: float
    accountant: str
    method: Method = "prv"
    clipping: Clipping | None = None
    pairs: Pairing | None = None
    weight: float | None = None

    @property
    def expected_batch(self) -> float:
        """Units in a batch on average; what noised gradients are divided by, at level example."""
        return self.sample_rate * (self.units if self.weight is None else self.weight)

    @property
    def noise_ahead(self) -> float | None:
        """σ of the steps to come; None when there are none, since the target is spent."""
        return self.noise_multiplier if self.steps else None

    @property
    def clips(self) -> Clipping:
        """How gradients are clipped."""
        return self.clipping or Clipping(self.max_grad_norm, self.noise_multiplier)

    def charge(self, steps: int = 1) -> Charge:
        """What `steps` steps of this plan cost."""
        return Charge(
            self.sample_rate, self.noise_multiplier, steps, None if self.pairs is None else self.pairs.exposure
        )

    def exposed(self, steps: int) -> dict[str, float] | None:
        """ε of so many steps of this plan by adversary; None but at level correlated."""
        return exposed([self.charge(steps)], self.delta, self.accountant) if self.pairs else None


def make_plan(
    config: PrivacyConfig,
    training: TrainingConfig,
    *,
    units: int,
    spent: Sequence[Charge] = (),
    pairs: PairTerms | None = None,
    drawing: Drawing | None = None,
) -> Plan:
    """The plan for a whole training on data that has `spent` charges already.

    Args:
        units: of the node.
        spent: by other runs.
        pairs: of level correlated.
        drawing: how often its units are drawn; None: as often as any. `plan_for_all` has several parts of data.

    Raises:
        BudgetSpentError: the target is spent already.
        PrivacyError: δ is too large for so many units, or no noise reaches the target.
    """
    if config.level == "none":
        raise PrivacyError("privacy.level none has no plan: nothing is noised")
    if units < 1:
        raise PrivacyError("a plan needs at least one unit of data")
    delta = delta_for(config.target_delta, units)
    weight, (share, *_) = (units, (1.0,)) if drawing is None else (drawing.weight, drawing.shares)
    wished = _charged(config, training, weight)
    own = replace(wished, sample_rate=wished.sample_rate * share)
    sigma = _noise(config, delta, own, spent)
    total = bound((*spent, replace(own, noise_multiplier=sigma)), delta, config.accountant)
    return Plan(
        level=config.level,
        sample_rate=wished.sample_rate,
        noise_multiplier=sigma,
        max_grad_norm=config.max_grad_norm,
        delta=delta,
        steps=wished.steps,
        units=units,
        target_epsilon=config.target_epsilon,
        epsilon=total.epsilon,
        accountant=config.accountant,
        method=total.method,
        clipping=clipping_of(config, noise_multiplier=sigma, expected_batch=wished.sample_rate * weight),
        pairs=None if pairs is None else _pairing(config, pairs, sigma, _noise(config, delta, wished, ())),
        weight=None if drawing is None else drawing.weight,
    )


def plan_for_all(
    config: PrivacyConfig,
    training: TrainingConfig,
    *,
    units: int,
    pasts: Sequence[Sequence[Charge]],
    pairs: PairTerms | None = None,
    drawing: Drawing | None = None,
) -> Plan:
    """The plan that all parts of the data can pay for, the one of most noise; its ε is that of the part that pays most.

    Args:
        pasts: what each part of the data was charged before by other runs; one at least.
        drawing: how often units are drawn; a part of share 0 is not, and pays nothing.

    Raises:
        BudgetSpentError, PrivacyError: see `make_plan`.
    """
    shares = (1.0,) * len(pasts) if drawing is None else drawing.shares
    own = [None if drawing is None else replace(drawing, shares=(share,)) for share in shares]
    plans = [
        make_plan(config, training, units=units, spent=past, pairs=pairs, drawing=each)
        for past, share, each in zip(pasts, shares, own, strict=True)
        if share
    ]
    plan = max(plans, key=lambda plan: plan.noise_multiplier)
    # with this noise another part may cost a little more than the one that it was found for
    charge = plan.charge(plan.steps)
    paid = [
        (*past, replace(charge, sample_rate=charge.sample_rate * share)) if share else past
        for past, share in zip(pasts, shares, strict=True)
    ]
    bounds = [bound(each, plan.delta, plan.accountant) for each in paid]
    dearest = max(bounds, key=lambda found: found.epsilon)
    return replace(plan, epsilon=dearest.epsilon, method=dearest.method)


def spent_plan(
    config: PrivacyConfig, *, units: int, pasts: Sequence[Sequence[Charge]], pairs: PairTerms | None = None
) -> Plan:
    """The plan of no further step, on data of which some part has spent its target; its noise is one of those charged.

    Args:
        pasts: see `plan_for_all`.
    """
    delta = delta_for(config.target_delta, units)
    totals = [(bound(past, delta, config.accountant), past[-1]) for past in pasts if past]
    total, last = max(totals, key=lambda pair: pair[0].epsilon)
    return Plan(
        level=config.level,
        sample_rate=last.sample_rate,
        noise_multiplier=last.noise_multiplier,
        max_grad_norm=config.max_grad_norm,
        delta=delta,
        steps=0,
        units=units,
        target_epsilon=config.target_epsilon,
        epsilon=total.epsilon,
        accountant=config.accountant,
        method=total.method,
        pairs=None if pairs is None else _pairing(config, pairs, last.noise_multiplier, last.noise_multiplier),
    )


def delta_for(wished: float | None, units: int) -> float:
    """δ for a node with so many units: the wished one, or min(1e-3, 1/(2 units)).

    Raises:
        PrivacyError: the wished δ is above 1/(2 units): it would allow one unit in two to be published outright.
    """
    largest = 1 / (2 * units)
    if wished is None:
        return min(LARGEST_DELTA, largest)
    if wished > largest:
        raise PrivacyError(f"privacy.target_delta {wished:g} is above 1/(2n) = {largest:.3g} for n = {units} units")
    return wished


def epsilon_if_replaced(plan: Plan, spent: Sequence[Charge] = ()) -> float:
    """ε of a plan of level update or correlated, were the node's data replaced by other data.

    That is twice the sensitivity of their absence.

    Args:
        spent: at level update before.
    """
    charges = (*spent, plan.charge(plan.steps))
    halved = [replace(charge, noise_multiplier=charge.noise_multiplier / 2) for charge in charges]
    return bound(halved, plan.delta, plan.accountant).epsilon


def _charged(config: PrivacyConfig, training: TrainingConfig, weight: float) -> Charge:
    """All that a training charges, but for the noise, of the units drawn most."""
    if config.releases_phases:
        return Charge(1.0, 0.0, training.phases)
    return Charge(min(1.0, training.batch_size / weight), 0.0, training.total_steps)


def _pairing(config: PrivacyConfig, pairs: PairTerms, own: float, others: float) -> Pairing | None:
    """Other nodes' noise is at least what fresh data takes, see `PrivacyConfig`."""
    if config.pair_noise_multiplier is None:
        return None
    pair = config.pair_noise_multiplier
    return Pairing(pair, pairs.exposure(own=own, others=min(own, others), pair=pair))


def _noise(config: PrivacyConfig, delta: float, wished: Charge, spent: Sequence[Charge]) -> float:
    if config.noise_multiplier is not None:
        return config.noise_multiplier
    if config.nominal_epsilon is not None:
        # Dwork & Roth (2014), theorem A.1, for one release, and for ε < 1 only: the error that is studied
        return math.sqrt(2 * math.log(1.25 / delta)) / config.nominal_epsilon
    if config.target_epsilon is None:
        raise PrivacyError(f"privacy.level {config.level} needs target_epsilon or noise_multiplier")
    return noise_multiplier_for(
        config.target_epsilon,
        delta=delta,
        sample_rate=wished.sample_rate,
        steps=wished.steps,
        accountant=config.accountant,
        spent=spent,
    )
