"""Before training: are per-sample gradients what they claim to be?

    ‖ together_i − alone_i ‖  ≤  tolerance · ‖ alone_i ‖ + floor          for every parameter and two examples

`together` is what the source that training uses gives for a batch of two; `alone` is plain backpropagation of one
example at a time. Wrong hooks have silently corrupted training before (opacus#820), and a layer that mixes the batch
breaks the bound on what one unit changes. The parameters are moved a little meanwhile: at LoRA's start, B = 0, every
gradient of A is 0.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from gossipfl.errors import PrivacyError
from gossipfl.privacy.rows import RowLosses, Rows, row_losses
from gossipfl.privacy.sources import ENGINES, Engine, UnitSource
from gossipfl.privacy.sources.hooks import refuse_batch_norm

logger = logging.getLogger(__name__)

EXAMPLES = 2
TOLERANCE = 1e-3
LOW_PRECISION_TOLERANCE = 5e-2
"""With bfloat16 somewhere: a batch of two and a single row round differently; a wrong hook is off by far more."""

Named = tuple[tuple[str, nn.Parameter], ...]


def choose_engine(wished: str, module: nn.Module, losses: RowLosses, rows: Rows) -> Engine:
    """The engine of `privacy.engine` whose gradients are right for this module; `auto` prefers `grouped`.

    Raises:
        PrivacyError: see `check_per_sample_gradients`; for `auto`, of the hooks.
    """
    if wished != "hooks":
        try:
            check_per_sample_gradients(module, losses, rows, "grouped")
        except PrivacyError as error:
            if wished == "grouped":
                raise PrivacyError(f"privacy.engine grouped does not suit this model: {error}") from error
            logger.info("per-sample gradients by the hooks of Opacus, since not by groups: %s", error)
        else:
            return "grouped"
    check_per_sample_gradients(module, losses, rows, "hooks")
    return "hooks"


def check_per_sample_gradients(module: nn.Module, losses: RowLosses, rows: Rows, engine: Engine = "hooks") -> None:
    """Holds per-sample gradients against one-by-one gradients on the first two rows.

    Guarantees:
        The module's parameters are bit for bit as before, no gradient and no hook is left.

    Raises:
        PrivacyError: they differ, or cannot be computed; the message names the parameter.
    """
    if rows.count < EXAMPLES:
        raise PrivacyError(f"per-sample gradients are checked on {EXAMPLES} examples, got {rows.count}")
    sample = rows.first(EXAMPLES)
    refuse_batch_norm(module)
    parameters = tuple((name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad)
    source = ENGINES[engine](module, losses)
    try:
        with _moved(parameters), _watched(module) as low_precision:
            together = _together(source, sample)
            alone = [_alone(module, losses, sample.row(place), parameters) for place in range(EXAMPLES)]
    finally:
        source.close()
    tolerance = LOW_PRECISION_TOLERANCE if low_precision else TOLERANCE
    _compare(parameters, together, alone, tolerance)


def _together(source: UnitSource, rows: Rows) -> list[Tensor]:
    try:
        found = source.unit_gradients(rows)
    # Opacus and torch say in many ways that a layer does not fit
    except (RuntimeError, ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
        raise PrivacyError(
            f"per-sample gradients cannot be computed for this model: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error
    return [gradient.clone() for gradient in found]


def _alone(module: nn.Module, losses: RowLosses, row: Rows, parameters: Named) -> list[Tensor]:
    trained = [parameter for _, parameter in parameters]
    with torch.enable_grad():
        loss = row_losses(losses, module, row).sum()
    if not loss.requires_grad:
        return [torch.zeros_like(parameter) for parameter in trained]
    found = torch.autograd.grad(loss, trained, allow_unused=True)
    return [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(trained, found, strict=True)
    ]


def _compare(
    parameters: Named, together: Sequence[Tensor], alone: Sequence[Sequence[Tensor]], tolerance: float
) -> None:
    for place, gradients in enumerate(alone):
        largest = max(float(gradient.norm()) for gradient in gradients)
        for (name, _), batched, single in zip(parameters, together, gradients, strict=True):
            error, size = float((batched[place] - single).norm()), float(single.norm())
            # a gradient that is 0 but for rounding is compared with the largest one
            if not error <= tolerance * size + 0.1 * tolerance * largest:
                raise PrivacyError(
                    f"per-sample gradients are wrong: {name} is {error:.3g} off its one-by-one gradient of norm "
                    f"{size:.3g}; its layer, or one after it, mixes the examples of a batch, is random, or is used in "
                    "a way that is not known"
                )


@contextmanager
def _watched(module: nn.Module) -> Iterator[set[str]]:
    """Filled with why results are rounded coarsely, if they are: weights, or autocast inside the task's losses."""
    low = (torch.bfloat16, torch.float16)
    found = {"weights"} if any(parameter.dtype in low for parameter in module.parameters()) else set()

    def look(_layer: nn.Module, _inputs: object) -> None:
        if torch.is_autocast_enabled(next(module.parameters()).device.type):
            found.add("autocast")

    handle = module.register_forward_pre_hook(look)
    try:
        yield found
    finally:
        handle.remove()


@contextmanager
def _moved(parameters: Named) -> Iterator[None]:
    """Parameters a little off where they are, by numbers that never change; put back bit for bit."""
    saved = [parameter.detach().clone() for _, parameter in parameters]
    random = np.random.default_rng(0)
    try:
        with torch.no_grad():
            for _, parameter in parameters:
                size = 0.05 * float(parameter.float().pow(2).mean().sqrt()) + 0.01
                step = torch.from_numpy(random.standard_normal(tuple(parameter.shape))).mul_(size)
                parameter.add_(step.to(parameter))
        yield
    finally:
        with torch.no_grad():
            for (_, parameter), before in zip(parameters, saved, strict=True):
                parameter.copy_(before)
