"""The gradient of every unit of a micro-batch by itself, through the hooks of Opacus.

    forward, backward of Σ rows loss / rows of its unit ─> grad_sample (rows, …) ─> summed by unit ─> (units, …)

Only trainable parameters get one. Two traps of the hooks are handled here: they are silent on layers that are not in
training mode, and a layer that is fed one row for the whole batch (position embeddings) would get one gradient for all.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gossipfl.errors import PrivacyError
from gossipfl.privacy.opacus_parts import GradSampleModule
from gossipfl.privacy.rows import RowLosses, Rows, row_losses
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.clipping import add_one_batch
from gossipfl.privacy.sources.seam import NOBODY, Places


class HookedGradients:
    """Unit gradients of one module, see `UnitSource`; close it to take its hooks off.

    Between two calls the module is as it was, but for its training mode.
    """

    def __init__(self, module: nn.Module, losses: RowLosses) -> None:
        refuse_batch_norm(module)
        _refuse_recurrent(module)
        _remove_old_hooks(module)
        self._module = module
        self._losses = losses
        self._rows = 0
        self.parameters = tuple((name, p) for name, p in module.named_parameters() if p.requires_grad)
        try:
            self._hooks = GradSampleModule(module, loss_reduction="sum", strict=True)
        except NotImplementedError as error:
            raise PrivacyError(f"per-sample gradients: {' '.join(str(error).split())}") from error
        self._hooks.disable_hooks()
        self._layers: tuple[nn.Module, ...] = tuple(self._hooks.iterate_submodules(module))
        self._handles = [layer.register_forward_pre_hook(self._one_copy_per_row) for layer in self._layers]

    def add(self, rows: Rows, clip: Clip | None, into: Tensor, resting: Places = NOBODY) -> None:
        """See `GradientSource.add`; at most rows × trainable × 4 bytes are alive, and freed."""
        try:
            add_one_batch(self.unit_gradients(rows), clip, into, resting)
        finally:
            self.clear()

    def unit_gradients(self, rows: Rows) -> Sequence[Tensor]:
        """See `UnitSource`; also in `grad_sample` of every trainable parameter, with zeros where one took no part.

        Raises:
            PrivacyError: a layer gives no gradient per row.
        """
        self._compute(rows)
        return [parameter.grad_sample for _, parameter in self.parameters]  # type: ignore[attr-defined]

    def clear(self) -> None:
        """Frees what the last call left, also when it failed half-way."""
        for _, parameter in self.parameters:
            parameter.grad_sample = None  # type: ignore[attr-defined]
            # Opacus' own count, wrong after a failed pass
            parameter._forward_counter = 0  # type: ignore[attr-defined]  # noqa: SLF001
            _forget(parameter, "_current_grad_sample")
        for layer in self._layers:
            _forget(layer, "activations")
            _forget(layer, "max_batch_len")

    def close(self) -> None:
        """Takes all hooks off the module."""
        self.clear()
        for handle in self._handles:
            handle.remove()
        self._hooks.to_standard_module()

    def _compute(self, rows: Rows) -> None:
        self.clear()
        self._rows = rows.count
        with self._hooked(), torch.enable_grad():
            total = (row_losses(self._losses, self._module, rows) * rows.weights()).sum()
            if total.requires_grad:
                total.backward()  # type: ignore[no-untyped-call]
        for name, parameter in self.parameters:
            parameter.grad = None
            parameter.grad_sample = _by_unit(  # type: ignore[attr-defined]
                _found(parameter, name, rows.count), parameter, rows
            )
            _forget(parameter, "_current_grad_sample")

    @contextmanager
    def _hooked(self) -> Iterator[None]:
        ready(self._module, self._layers)
        self._hooks.enable_hooks()
        try:
            yield
        finally:
            self._hooks.disable_hooks()

    def _one_copy_per_row(self, _layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if not self._hooks.hooks_enabled or self._rows < 2:
            return None
        first, *rest = inputs
        if not isinstance(first, Tensor) or first.dim() < 2 or first.shape[0] != 1:
            return None
        return (first.expand(self._rows, *first.shape[1:]), *rest)


def ready(module: nn.Module, layers: tuple[nn.Module, ...]) -> None:
    """No dropout anywhere: one fixed function per unit; only the trained layers themselves are in training mode."""
    module.eval()
    for layer in layers:
        layer.training = True  # Opacus' hooks look at it; not `train()`, which would reach the layer's children


def refuse_batch_norm(module: nn.Module) -> None:
    """Raises `PrivacyError` for the first BatchNorm: it mixes the units of a batch, and its statistics are data."""
    for name, layer in module.named_modules():
        if isinstance(layer, _BatchNorm):
            raise PrivacyError(
                f"the model's layer {name or 'itself'} is a {type(layer).__name__}, which mixes the examples of a "
                "batch: use LayerNorm or GroupNorm"
            )


def _refuse_recurrent(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, nn.RNNBase) and any(parameter.requires_grad for parameter in layer.parameters()):
            kind = type(layer).__name__
            raise PrivacyError(
                f"per-sample gradients: layer {name or 'itself'} is torch's {kind}, which gives none: build the model "
                f"with opacus.layers.DP{kind}, or keep it frozen under adapter.kind lora or core"
            )


def _found(parameter: nn.Parameter, name: str, rows: int) -> Tensor | None:
    """What the hooks left: a tensor, several of one pass, an unfinished sum, or nothing."""
    samples: Tensor | list[Tensor] | None = parameter.grad_sample  # type: ignore[attr-defined]
    if samples is None:
        samples = getattr(parameter, "_current_grad_sample", None)
    if samples is None:
        return None
    found: Tensor = torch.stack(samples).sum(0) if isinstance(samples, list) else samples
    if found.shape != (rows, *parameter.shape):
        raise PrivacyError(
            f"per-sample gradients of {name}: {tuple(found.shape)} for {rows} rows of {tuple(parameter.shape)}; "
            "its layer is not fed one row per example"
        )
    return found


def _by_unit(samples: Tensor | None, parameter: nn.Parameter, rows: Rows) -> Tensor:
    if samples is None:
        return torch.zeros((), device=parameter.device).expand(rows.units, *parameter.shape)
    return rows.by_unit([samples.to(torch.float32)])[0]


def _remove_old_hooks(module: nn.Module) -> None:
    """Hooks of an earlier mechanism on the same module, which Opacus would refuse to see twice."""
    hooks: list[Callable[[], None]] = [hook.remove for hook in getattr(module, "autograd_grad_sample_hooks", ())]
    for remove in hooks:
        remove()
    _forget(module, "autograd_grad_sample_hooks")


def _forget(owner: object, attribute: str) -> None:
    if hasattr(owner, attribute):
        delattr(owner, attribute)
