"""The section `audit` of experiment.yaml: what `gossipfl audit privacy` plants, and who tries to find it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gossipfl.config.section import NonNegativeInt, PositiveInt, Section


class AuditConfig(Section):
    """Canaries at one node, each in with probability ½; from what others see they guess which are."""

    canaries: NonNegativeInt = 200
    """How many. More find smaller differences and can show a larger ε: 200 about 3, 1,000 about 4.7."""
    kind: Literal["gradient", "mislabeled"] = "gradient"
    """gradient: each canary's gradient is one trained value of its own and as long as clipping allows, the strongest
    that DP-SGD admits; mislabeled: records of the owner again, under a wrong label, which is what data alone can do."""
    owner: str | None = None
    """Node whose data they are in; default: the first."""
    hops: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] | None = None
    """Who guesses, by links from the owner. 0: one who sees every noised gradient; 1: a neighbor, which sees what it is
    sent; default: 0, 1 and as far as there is a node."""
    guesses: PositiveInt | None = None
    """About how many canaries one guesses; default: all, a half, a quarter and an eighth, with a union bound."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Of each lower bound."""
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    """δ of the lower bound; default: that of the claim, without one 1e-5."""
    members: NonNegativeInt = 200
    """Membership inference: records of the owner half of which are in, by lot; 0: none."""
    shadow_pairs: NonNegativeInt = 4
    """Likelihood ratio: pairs of shadow runs, each run as long as the audited one; 0: the attack by loss alone."""

    @model_validator(mode="after")
    def _members_are_of_both_kinds(self) -> "AuditConfig":
        if self.members == 1:
            raise ValueError("members: 1 is no pool to tell members from others in; 0, or 2 and more, were expected")
        return self
