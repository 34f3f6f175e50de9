"""The `flower` section of experiment.yaml: how `gossipfl fedavg` mixes; nodes and simulator ignore it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gossipfl.config.section import NonNegativeFloat, PositiveFloat, Section

Share = Annotated[float, Field(gt=0, le=1)]


class CentralNoiseConfig(Section):
    """A trusted server clips the clients' updates and adds noise to their mean."""

    target_epsilon: PositiveFloat | None = None
    """ε wished for all rounds together; the noise is calculated."""
    noise_multiplier: PositiveFloat | None = None
    """Instead: deviation of the noise on the sum of updates over `max_grad_norm`."""
    nominal_epsilon: PositiveFloat | None = None
    """Instead, to study an error of tutorials: see privacy.nominal_epsilon."""
    max_grad_norm: PositiveFloat
    """Clipping norm of one client's update."""
    target_delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """δ of the ε that is reported; a client's whole data is the unit, and drawing clients counts for nothing."""

    @model_validator(mode="after")
    def _noise_is_decided(self) -> "CentralNoiseConfig":
        if sum(wish is not None for wish in (self.target_epsilon, self.noise_multiplier, self.nominal_epsilon)) != 1:
            raise ValueError(
                "central_noise needs target_epsilon, noise_multiplier or nominal_epsilon, one of the three"
            )
        return self


class FlowerConfig(Section):
    """The centralized baseline: a server, and one client a node."""

    strategy: str = "FedAvg"
    """Flower's: FedAvg, FedAvgM, FedProx, FedAdam, FedAdagrad, FedYogi, FedMedian, FedTrimmedAvg, Krum, MultiKrum,
    Bulyan or QFedAvg."""
    options: dict[str, bool | int | float | str] = Field(default={})
    """What the strategy takes besides, by its own names: `proximal-mu` of FedProx is `proximal_mu`."""
    weighting: Literal["equal", "examples"] = "equal"
    """Weight of a client in the mean: equal, as gossip weighs its nodes, or its number of examples, as Flower does."""
    fraction: Share = 1.0
    """Part of the clients that train in a round, drawn anew."""
    central_noise: CentralNoiseConfig | None = None
    """Noise of a trusted server, instead of the clients' own (`privacy`); never to be compared as one with it. With
    FedAvg or FedProx and equal weights only, whose mean its ε is reckoned for; and on trial only: it is seeded."""
    timeout_s: PositiveFloat = 3600.0
    """Seconds the server waits for a round's clients; without the missing ones it goes on."""
    server_latency_s: NonNegativeFloat = 0.0
    """Virtual seconds the server needs between the last upload and the next download."""
