"""One forward and one backward pass over rows of many groups, through one frozen base.

Meanwhile the trained layers compute as `layers` says; afterwards the module is as it was.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from gossipfl.errors import PrivacyError
from gossipfl.privacy.grouped.collected import Collected, Storage
from gossipfl.privacy.grouped.current import Pass
from gossipfl.privacy.grouped.layers import find_layers
from gossipfl.privacy.grouped.layout import Layout
from gossipfl.privacy.rows import RowLosses, Rows, row_losses

_PROBES = (2, 3)
"""Numbers of equal rows: a layer whose input follows both is fed one row per example, or one for all."""


class GroupedEngine:
    """Gradients by row or by group.

    Raises:
        PrivacyError: a trained layer is of a kind that cannot be grouped.
    """

    def __init__(self, module: nn.Module, losses: RowLosses) -> None:
        self._layers, problem = find_layers(module)
        if problem:
            raise PrivacyError(problem)
        self._module = module
        self._losses = losses
        self.parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._places = {parameter: place for place, parameter in enumerate(self.parameters.values())}
        tables = (layer.layer for layer in self._layers if isinstance(layer.layer, nn.Embedding))
        self._straight = frozenset(self._places[table.get_parameter("weight")] for table in tables)
        self._storage = Storage()
        self._modules = tuple(module.modules())
        self._probed = False

    def set_dropout(self, *, on: bool) -> None:
        """Puts the module into training or evaluation mode; `train` would set every attribute at every pass."""
        for layer in self._modules:
            # one that is to compute its activations again does so in training mode only; it drops nothing itself
            wanted = on or bool(getattr(layer, "gradient_checkpointing", False))
            if layer.training is not wanted:
                layer.training = wanted

    def shared(self) -> list[Tensor]:
        """The module's own values as those of one group, (1, …) each."""
        return [parameter.detach()[None] for parameter in self._places]

    def gradients(self, rows: Rows, layout: Layout, values: Sequence[Tensor], *, by_row: bool) -> list[Tensor]:
        """Gradients of Σ weight · loss, (rows, …) or (groups, …) for each parameter; valid until the next call.

        Args:
            rows: in the order of the layout.
            values: of each parameter, (groups, …).

        Raises:
            PrivacyError: a layer is fed otherwise than one row per example, or a parameter is used behind its back.
        """
        self.probe(rows)
        shapes = [parameter.shape for parameter in self._places]
        collected = Collected(shapes, layout, self._storage, by_row=by_row, straight=self._straight)
        anchor = torch.zeros((), device=layout.device, requires_grad=True)
        current = Pass(self._places, values, collected, anchor)
        with self._replaced(current), self._gradients_aside(), torch.enable_grad():
            total = (row_losses(self._losses, self._module, rows) * rows.weights()).sum()
            if total.requires_grad:
                total.backward()  # type: ignore[no-untyped-call]
            self._refuse_gradients()
        return collected.gradients()

    def probe(self, rows: Rows) -> None:
        """Looks once at what the trained layers are fed, on copies of the first row.

        Raises:
            PrivacyError: one is not fed one row per example, nor one for all.
        """
        if self._probed:
            return
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for count in _PROBES:
                copies = {name: tensor[:1].expand(count, *tensor.shape[1:]) for name, tensor in rows.tensors.items()}
                with self._watched(count):
                    self._losses(self._module, copies)
        self._probed = True

    def clear(self) -> None:
        """Gives memory back."""
        self._storage.clear()

    @contextmanager
    def _watched(self, count: int) -> Iterator[None]:
        with ExitStack() as stack:
            for layer in self._layers:
                handle = layer.layer.register_forward_pre_hook(partial(_look, layer.name, count))
                stack.callback(handle.remove)
            yield

    @contextmanager
    def _replaced(self, current: Pass) -> Iterator[None]:
        try:
            for layer in self._layers:
                # in the instance, before the class's own
                vars(layer.layer)["forward"] = partial(layer.run, current)
            yield
        finally:
            for layer in self._layers:
                vars(layer.layer).pop("forward", None)

    @contextmanager
    def _gradients_aside(self) -> Iterator[None]:
        kept = [parameter.grad for parameter in self._places]
        for parameter in self._places:
            parameter.grad = None
        try:
            yield
        finally:
            for parameter, grad in zip(self._places, kept, strict=True):
                parameter.grad = grad

    def _refuse_gradients(self) -> None:
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                raise PrivacyError(f"{name} is used without its layer being called, so it cannot be grouped")


def _look(name: str, rows: int, _layer: nn.Module, inputs: tuple[object, ...]) -> None:
    if not inputs:
        raise PrivacyError(f"layer {name} is called by keyword, so it cannot be grouped")
    x = inputs[0]
    if not isinstance(x, Tensor) or not x.dim() or x.shape[0] not in {1, rows}:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise PrivacyError(
            f"layer {name} is fed {shape} for {rows} rows, not one row per example: it cannot be grouped"
        )
