"""Every weight is trained and exchanged: FedAvg's and D-PSGD's adapter, for small models and as a baseline."""

import torch

from gossipfl.learning.adapters.adapted import Parts
from gossipfl.learning.adapters.request import AdapterRequest


def build(request: AdapterRequest) -> Parts:
    """All parameters of the body, in fp32; a tied one counts once."""
    base = request.base
    base.module.to(torch.float32)
    return Parts({name: parameter for name, parameter in base.module.named_parameters() if name not in base.head})
