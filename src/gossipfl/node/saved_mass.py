"""A node's books of what has crossed its edges, as part of a checkpoint.

mass/sum    mass/pushed/NAME    mass/heard/NAME        fp64 tensors; the weights as hex floats in the description
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.mass import Flow, Mass
from gossipfl.core.wide import Wide
from gossipfl.state import AdapterSpec, AdapterState

_PLACE = "mass/"


def mass_tensors(mass: Mass[AdapterState] | None) -> dict[str, NDArray[Any]]:
    """The tensors, none without books."""
    if mass is None:
        return {}
    flows = {f"pushed/{name}": flow for name, flow in mass.pushed.items()}
    flows |= {f"heard/{name}": flow for name, flow in mass.heard.items()}
    totals = {"sum": mass.sum, **{place: flow.total for place, flow in flows.items()}}
    return {_PLACE + place: np.asarray(total.values) for place, total in totals.items()}


def mass_weights(mass: Mass[AdapterState] | None) -> dict[str, Any] | None:
    """The weights, as JSON; None without books."""
    if mass is None:
        return None
    return {"weight": mass.weight.hex(), "pushed": _weights(mass.pushed), "heard": _weights(mass.heard)}


def _weights(flows: Mapping[str, Flow[AdapterState]]) -> dict[str, str]:
    return {name: flow.weight.hex() for name, flow in flows.items()}


def mass_of(
    weights: Mapping[str, Any] | None, tensors: Mapping[str, NDArray[Any]], spec: AdapterSpec
) -> Mass[AdapterState] | None:
    """What the other two were given.

    Raises:
        KeyError: a tensor is missing.
    """
    if weights is None:
        return None

    def wide(place: str) -> Wide[AdapterState]:
        return Wide(tensors[_PLACE + place], spec)

    def flows(way: str) -> dict[str, Flow[AdapterState]]:
        return {name: Flow(float.fromhex(weight), wide(f"{way}/{name}")) for name, weight in weights[way].items()}

    return Mass(float.fromhex(weights["weight"]), wide("sum"), flows("pushed"), flows("heard"))
