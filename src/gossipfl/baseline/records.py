"""Values of ours in records of Flower's: the adapter is one flat fp32 tensor, however many matrices it has.

Flower starts a transfer for every tensor: with one there is one.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray
from safetensors.numpy import load, save

from gossipfl.errors import MessageError
from gossipfl.state import AdapterSpec, AdapterState

ARRAYS, CONFIG, METRICS = "arrays", "config", "metrics"
"""Flower's usual names of the records in a message."""
ADAPTER = "adapter"
"""The only array of `ARRAYS`."""
WEIGHT = "weight"
"""The metric that a client is weighted by."""
FAILED = 0
"""Flower's code of an unknown error."""
DIVERGED = 1000
"""Code of the error that a client answers with whose values are no longer finite; Flower's own are small."""
_MEMORY, _MOMENTS = "memory", "moments"

Moments = Mapping[str, NDArray[np.float32]]
Json = Any
"""What `json` reads and writes."""


def arrays_of(state: AdapterState) -> ArrayRecord:
    """A state, to be sent."""
    return ArrayRecord({ADAPTER: Array(state.vector)})


def state_of(arrays: ArrayRecord, spec: AdapterSpec, *, sender: str) -> AdapterState:
    """The state that was sent.

    Raises:
        MessageError: it is another model's, or has values that are not finite.
    """
    vector = arrays[ADAPTER].numpy() if set(arrays) == {ADAPTER} else np.empty(0)
    if vector.shape != (spec.size,):
        raise MessageError(f"{sender} sent {vector.shape}, ({spec.size},) was expected", peer=sender, reason="shape")
    if not np.isfinite(vector).all():
        raise MessageError(f"{sender} sent values that are not finite", peer=sender, reason="nan")
    # aggregated in float64 by some strategies
    return AdapterState(spec, np.ascontiguousarray(vector, np.float32))


def payload_bytes(message: Message) -> int:
    """Bytes of all tensors in a message, as they travel."""
    if not message.has_content():
        return 0
    records = message.content.array_records.values()
    return sum(len(array.data) for arrays in records for array in arrays.values())


def metrics_of(message: Message) -> MetricRecord:
    """The figures in a reply."""
    return message.content.metric_records[METRICS]


def number(metrics: MetricRecord, key: str) -> float:
    """A figure; NaN where it was not sent."""
    value = metrics.get(key, np.nan)
    return float(value) if isinstance(value, int | float) else float("nan")


class Memory:
    """What a client keeps between rounds in its `Context`: steps done, optimizer moments, the account.

    Flower's examples forget all of it every round.
    """

    def __init__(self, state: RecordDict) -> None:
        self._state = state
        kept = state.config_records.get(_MEMORY)
        self.steps = 0 if kept is None else int(str(kept["steps"]))
        self.account: Json = None if kept is None else json.loads(str(kept["account"]))

    @property
    def moments(self) -> Moments:
        """Of the optimizer."""
        kept = self._state.array_records.get(_MOMENTS)
        return {} if kept is None else load(kept[_MOMENTS].numpy().tobytes())

    def keep(self, *, steps: int, moments: Moments, account: Json) -> None:
        """Replaces what is kept.

        Args:
            account: as JSON can hold it.
        """
        self._state[_MEMORY] = ConfigRecord({"steps": str(steps), "account": json.dumps(account)})
        # one file's bytes: a record costs Flower tens of microseconds a tensor, each time it is read and written
        self._state[_MOMENTS] = ArrayRecord({_MOMENTS: Array(np.frombuffer(save(dict(moments)), np.uint8))})
