"""What is trained and averaged: the table of adapters and `attach`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from torch import nn

from gossipfl.config.experiment import Experiment
from gossipfl.core.factors import LEFT, MERGED, RIGHT
from gossipfl.core.tables import resolve
from gossipfl.errors import ModelError
from gossipfl.importing import quick_import
from gossipfl.learning.adapters import full
from gossipfl.learning.adapters.adapted import Adapted, LowRank, Parts, read_values, spec_of
from gossipfl.learning.adapters.request import AdapterRequest
from gossipfl.learning.base import BaseModel
from gossipfl.learning.basis import Factors, compute_basis
from gossipfl.state import AdapterState

_SHOWN = 40
"""Names in an error."""

__all__ = ["ADAPTERS", "Adapted", "AdapterRequest", "LowRank", "Parts", "attach", "make_basis"]


def _late(module: str, name: str) -> Callable[[AdapterRequest], Parts]:
    """Imported when it is used: PEFT and transformers take seconds, `full` does without."""

    def build(request: AdapterRequest) -> Parts:
        parts: Parts = getattr(quick_import(f"{__name__}.{module}"), name)(request)
        return parts

    return build


ADAPTERS: Mapping[str, Callable[[AdapterRequest], Parts]] = {
    "full": full.build,
    "lora": _late("lora", "build_lora"),
    "ffa": _late("lora", "build_ffa"),
    "alternating": _late("lora", "build_alternating"),
    "core": _late("core", "build"),
}
"""`adapter.kind` to what builds it; a new one is a new file and a line here."""


def attach(base: BaseModel, experiment: Experiment, *, basis: Path | None = None) -> Adapted:
    """Puts the experiment's adapter into the base model, which is changed in place.

    Args:
        basis: `core`: file with the public factors; None computes them from the base weights.

    Guarantees:
        Equal on every machine for equal base files and experiment; torch's global generators are neither used nor
        changed.

    Raises:
        ModelError: no layer matches the targets, a rank does not fit a layer, the basis is not unique, or nothing is
            called as `adapter.private` says, or that parts a product which `adapter.merge` averages; or a layer keeps
            running statistics.
        ConfigError: the kind of adapter is unknown.
    """
    _refuse_statistics(base.module)
    config = experiment.adapter
    build = resolve(ADAPTERS, config.kind, field="adapter.kind")
    parts = build(AdapterRequest(base, config, experiment.seed, experiment.training.dropout, basis))
    trained = {**parts.trained, **(base.head if config.train_head else {})}
    base.module.requires_grad_(requires_grad=False)
    for parameter in trained.values():
        parameter.requires_grad = True
    private = _private(trained, config.private)
    _check_products(parts, private, config.merge)
    # what stays is not mixed, so nothing of it is ever folded
    folds = {name: fold for name, fold in parts.folds.items() if name.removesuffix(MERGED) + LEFT not in private}
    parts = replace(parts, folds=folds)
    merged = {name: fold.merged for name, fold in folds.items()}
    values = dict(sorted({**trained, **merged}.items(), key=lambda item: item[0] in private))
    spec = spec_of(values, private)
    return Adapted(
        # new layers come in training mode
        module=base.module.eval(),
        base=base,
        experiment=experiment,
        spec=spec,
        initial=AdapterState(spec, read_values(values)),
        trained=trained,
        values=values,
        parts=parts,
    )


def _refuse_statistics(module: nn.Module) -> None:
    """What BatchNorm has seen lies in buffers: a node would be good only until it is saved, sent or exported."""
    for name, layer in module.named_modules():
        if getattr(layer, "track_running_stats", False):
            raise ModelError(
                f"model.source: layer {name} is a {type(layer).__name__}, whose running statistics are neither "
                "averaged nor saved: use a model with LayerNorm or GroupNorm"
            )


def _private(trained: Collection[str], patterns: Sequence[str]) -> frozenset[str]:
    """The names that the patterns mean."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in trained):
            raise ModelError(f"adapter.private: {pattern!r} matches no trained tensor; there are {_listed(trained)}")
    private = frozenset(name for name in trained if any(fnmatchcase(name, pattern) for pattern in patterns))
    if len(private) == len(trained):
        raise ModelError("adapter.private: all that is trained would stay; nothing is left to be averaged")
    return private


def _check_products(parts: Parts, private: Collection[str], merge: str) -> None:
    """Whether both factors of a product stay, or neither."""
    if merge == "factors":
        return
    for left in (name for name in parts.trained if name.endswith(LEFT)):
        right = left.removesuffix(LEFT) + RIGHT
        if (left in private) != (right in private):
            stays, leaves = (left, right) if left in private else (right, left)
            raise ModelError(
                f"adapter.private: {stays} would stay and {leaves} leave, but adapter.merge {merge} averages their "
                "product: name both, or neither"
            )


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:_SHOWN]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def make_basis(base: BaseModel, experiment: Experiment) -> dict[str, Factors]:
    """The public basis of the layers that the experiment's `core` adapter targets, for `save_basis`.

    Args:
        base: without an adapter.

    Raises:
        ModelError: no layer matches the targets, a rank does not fit a layer, or the basis is not unique.
    """
    from gossipfl.learning.adapters.sites import find_sites  # noqa: PLC0415  # seconds to import

    sites = find_sites(base, experiment.adapter)
    return compute_basis(((site.name, site.matrix()) for site in sites), experiment.adapter.rank)
