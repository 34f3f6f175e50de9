"""A base model with an adapter: the module that trains, and the flat state that travels.

    module parameters  <── write(state) ──  vector  ── read() ──>  state

Everything above this seam sees one flat fp32 vector; everything below it sees named parameters.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gossipfl.config.experiment import Experiment
from gossipfl.core.factors import resized
from gossipfl.errors import ModelError
from gossipfl.learning.base import BaseModel
from gossipfl.privacy.sources.seam import Places, trainable
from gossipfl.state import AdapterSpec, AdapterState, Segment

if TYPE_CHECKING:
    # it imports transformers, which takes seconds
    from transformers import PreTrainedTokenizerBase

    from gossipfl.learning.adapters.folded import Fold
    from gossipfl.learning.data.kinds import Reader


@dataclass(frozen=True, slots=True)
class LowRank:
    """The update of one layer in factors: ΔW = scale · B · A, in the (out, in) orientation of a Linear layer.

    Attributes:
        layer: name of the layer in the base model.
        A: (rank, in) fp32.
        B: (out, rank) fp32.
    """

    layer: str
    A: NDArray[np.float32]
    B: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parts:
    """What one kind of adapter puts into a base model.

    Attributes:
        trained: the parameters it trains, by segment name, in the order of the vector; without the head.
        scale: ΔW = scale · B · A.
        rank: of each layer's update; 0 for `full`.
        factors: a state's update layer by layer; None where it has no low rank.
        frozen: SHA-256 of what is drawn from the seed and frozen; empty for none.
        basis: SHA-256 of the basis file, or "computed"; empty for none.
        basis_sketch: see `gossipfl.learning.basis.sketch`.
        folds: frozen weights that mixing changes, by the name of the segment that says by how much; not trained.
        resting: names of what is not trained, turn by turn, over and over; empty: all is trained in every phase.
        turn_phases: phases of a turn.
    """

    trained: Mapping[str, nn.Parameter]
    scale: float = 1.0
    rank: int = 0
    factors: Callable[[AdapterState], Iterator[LowRank]] | None = None
    frozen: str = ""
    basis: str = ""
    basis_sketch: tuple[float, ...] = ()
    resting: tuple[frozenset[str], ...] = ()
    turn_phases: int = 1
    folds: "Mapping[str, Fold]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Adapted:
    """A base model with an adapter attached.

    Attributes:
        module: the model; only the trained parameters require a gradient, all of them fp32.
        base: what it was made from; `base.module` is `module`.
        experiment: what it was attached for.
        spec: layout of the vector; its shared part is exchanged.
        initial: the state every node starts from; equal on all nodes of one experiment.
        trained: the parameters behind the vector, by segment name: the adapter's, then the head's.
        values: all that is behind the vector, in its order: trained parameters, and what mixing alone changes.
        parts: what the adapter put in.
        turn: held by whoever uses the module; several learners may share it.
    """

    module: nn.Module
    base: BaseModel
    experiment: Experiment
    spec: AdapterSpec
    initial: AdapterState
    trained: Mapping[str, nn.Parameter]
    values: Mapping[str, Tensor]
    parts: Parts
    turn: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase | None":
        """The base model's tokenizer; None for one of images, and for a builtin one."""
        return self.base.tokenizer

    @property
    def reader(self) -> "Reader | None":
        """What its records are read with: tokenizer or image processor; None for a builtin model."""
        return self.base.tokenizer or self.base.images

    @property
    def basis_sketch(self) -> tuple[float, ...]:
        """Projections of the basis that two machines compare within 1e-4; empty unless `core`."""
        return self.parts.basis_sketch

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; empty for `causal-lm`."""
        return self.experiment.task.labels

    def resting(self, phase: int) -> frozenset[str]:
        """Names of the segments that are not trained in a phase of the run, the same on all nodes."""
        turns = self.parts.resting
        return turns[phase // self.parts.turn_phases % len(turns)] if turns else frozenset()

    def resting_places(self, phase: int) -> Places:
        """The same as places among the module's trainable parameters."""
        resting = {id(self.trained[name]) for name in self.resting(phase)}
        return frozenset(place for place, own in enumerate(trainable(self.module)) if id(own) in resting)

    def resting_values(self, phase: int) -> NDArray[np.bool_] | None:
        """(spec.size,) whether a value is not trained in a phase; None: all are."""
        names = self.resting(phase) | frozenset(self.parts.folds)
        if not names:
            return None
        return np.concatenate([np.full(segment.size, segment.name in names) for segment in self.spec.segments])

    def read(self) -> AdapterState:
        """The trained parameters as they are now, copied."""
        return AdapterState(self.spec, read_values(self.values))

    def write(self, state: AdapterState) -> None:
        """Sets the trained parameters, in place; the state is not kept.

        Raises:
            ModelError: the state belongs to another adapter.
        """
        if state.spec != self.spec:
            raise ModelError(f"a state of spec {self.spec.digest[:12]} was expected, not {state.spec.digest[:12]}")
        self._fill(state)
        for fold in self.parts.folds.values():
            fold.apply()

    def _fill(self, state: AdapterState) -> None:
        parameters = [value.detach() for value in self.values.values()]
        bounds = np.cumsum([parameter.numel() for parameter in parameters])[:-1]
        if parameters[0].device.type == "cpu":
            for parameter, values in zip(parameters, np.split(state.vector, bounds), strict=True):
                parameter.numpy()[...] = values.reshape(parameter.shape)
            return
        # one copy there instead of one for each parameter; and one here, for torch takes no read-only memory
        flat = torch.from_numpy(state.vector.copy()).to(parameters[0].device)
        for parameter, piece in zip(parameters, torch.tensor_split(flat, bounds.tolist()), strict=True):
            parameter.copy_(piece.view_as(parameter))

    def components(self) -> dict[str, str]:
        """What must be equal on two nodes that average: part of the handshake's fingerprint.

        `model` the base weights, and how they are quantized; `adapter` kind, scale, layout and start values of what is
        exchanged; `basis` the file of public factors; `head` as drawn; `labels`.
        """
        adapter = self.experiment.adapter
        if adapter.mixed_ranks:
            # what every rank has in common
            layout = resized(self.spec.shared(), 1).digest
            return self._components([layout, adapter.alpha, adapter.rank_stabilized, adapter.merge])
        layout, begin = self.spec.shared().digest, self.initial.sharing().digest()
        start: list[object] = [self.parts.scale, layout, begin, self.parts.frozen]
        if self.parts.resting:
            start.append([self.parts.turn_phases, *(sorted(names) for names in self.parts.resting)])
        if self.experiment.adapter.merge != "factors":
            start.append(self.experiment.adapter.merge)
        return self._components(start)

    def _model(self) -> str:
        """Of the weights as they compute: a quantized base is another function, and not by rounding alone."""
        quantization = self.experiment.model.quantization
        return self.base.sha256 if quantization == "none" else _digest([self.base.sha256, quantization])

    def _components(self, agreed: list[object]) -> dict[str, str]:
        return {
            "model": self._model(),
            "adapter": _digest([self.experiment.adapter.kind, *agreed]),
            "basis": self.parts.basis,
            "head": self.base.head_sha256,
            "labels": _digest(list(self.labels)) if self.labels else "",
        }


def spec_of(values: Mapping[str, Tensor], private: Collection[str] = ()) -> AdapterSpec:
    """The layout of a vector that holds these tensors, in their order."""
    return AdapterSpec(tuple(Segment(name, tuple(value.shape), name not in private) for name, value in values.items()))


def read_values(values: Mapping[str, Tensor]) -> NDArray[np.float32]:
    """All values in one new fp32 vector."""
    device = next(iter(values.values())).device
    pieces = [value.detach().to(device).reshape(-1) for value in values.values()]
    flat: NDArray[np.float32] = torch.cat(pieces).to("cpu", torch.float32).numpy()
    return flat


def _digest(values: list[object]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
