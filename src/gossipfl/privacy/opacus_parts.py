"""The one door to Opacus: what this package uses of it.

Importing Opacus configures the root logger (`logging.basicConfig`), which would silently disable the program's own
configuration; the root logger is put back as it was. Its hooks on a model whose inputs are token numbers make torch
warn at every step that no input requires a gradient, which is as it should be: that warning is silenced.
"""

import logging
import warnings

_handlers = list(logging.root.handlers)

from opacus.accountants.analysis.prv import (  # noqa: E402
    DiscretePRV,
    Domain,
    PoissonSubsampledGaussianPRV,
    TruncatedPrivacyRandomVariable,
    compose_heterogeneous,
    discretize,
)
from opacus.accountants.analysis.rdp import compute_rdp  # noqa: E402
from opacus.accountants.rdp import RDPAccountant  # noqa: E402
from opacus.grad_sample import GradSampleModule  # noqa: E402

logging.root.handlers[:] = _handlers
warnings.filterwarnings("ignore", message="Full backward hook is firing when gradients are computed")

DEFAULT_ORDERS: tuple[float, ...] = tuple(float(order) for order in RDPAccountant.DEFAULT_ALPHAS)

__all__ = [
    "DEFAULT_ORDERS",
    "DiscretePRV",
    "Domain",
    "GradSampleModule",
    "PoissonSubsampledGaussianPRV",
    "TruncatedPrivacyRandomVariable",
    "compose_heterogeneous",
    "compute_rdp",
    "discretize",
]
