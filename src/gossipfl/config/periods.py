"""experiment.yaml, `simulation.periods`: data that comes to simulated nodes while they train."""

from typing import Annotated

from pydantic import Field, model_validator

from gossipfl.config.section import PositiveInt, Section

Values = Annotated[tuple[str, ...], Field(min_length=1)]


class PeriodConfig(Section):
    """What comes later, to whom, and when."""

    phase: PositiveInt
    """Training phase before which it comes, counted from 0."""
    values: Values
    """Of the column: the records of a node that come."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Part of the nodes that it comes to, drawn by `seed`."""
    nodes: tuple[str, ...] = ()
    """Or their names."""

    @model_validator(mode="after")
    def _somebody_gets_it(self) -> "PeriodConfig":
        if (self.share is None) == (not self.nodes):
            raise ValueError("share, nodes: one of them was expected: to whom this data comes")
        return self


class PeriodsConfig(Section):
    """Each node's part of `data.source`, one piece after the other; records of values that do not come are unused."""

    column: str = "label"
    """Column whose values say what comes when."""
    first: Values
    """Values that nodes have from the beginning."""
    others: tuple[str, ...] = ()
    """Values that the nodes have to which nothing comes later; empty: as `first`. So what a shift leaves behind may
    be at nobody else's."""
    later: Annotated[tuple[PeriodConfig, ...], Field(min_length=1)]
    """In the order in which they come."""

    @model_validator(mode="after")
    def _one_after_the_other(self) -> "PeriodsConfig":
        phases = [period.phase for period in self.later]
        if phases != sorted(phases):
            raise ValueError(f"later: phases in ascending order were expected, not {phases}")
        known = set(self.first)
        for period in self.later:
            again = known & set(period.values)
            if again:
                raise ValueError(f"later: the value {min(again)!r} comes twice")
            known |= set(period.values)
        return self
