"""`flower.options`, checked before a strategy sees them: Flower takes what it is given and fails, or does not, later.

Sources of the numbers of clients: Blanchard et al. (2017) for Krum, El Mhamdi et al. (2018) for Bulyan.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from gossipfl.errors import ConfigError

Option = bool | int | float | str
Options = Mapping[str, Option]
"""By the strategy's own names."""
_KINDS = {kind.__name__: kind for kind in (bool, int, float, str)}
_FIXED = "train_loss_key"
"""Clients know it by its default."""
_POSITIVE, _SHARE, _COUNT = Field(gt=0), Field(ge=0, lt=1), Field(ge=0)
_RANGES: Mapping[str, Any] = {
    **dict.fromkeys(("server_learning_rate", "client_learning_rate", "eta", "eta_l", "tau"), _POSITIVE),
    **dict.fromkeys(("server_momentum", "beta_1", "beta_2"), _SHARE),
    **dict.fromkeys(("proximal_mu", "q", "num_malicious_nodes"), _COUNT),
    "num_nodes_to_select": Field(ge=1),
}
"""Of options of Flower's strategies that it does not check itself."""
_PER_MALICIOUS = {"Krum": 2, "MultiKrum": 2, "Bulyan": 4}
"""A strategy that withstands f clients wants so many times f, and three more."""


def checked_options(name: str, made: Callable[..., object], options: Options, ours: Mapping[str, Any]) -> Options:
    """The options, as the kinds that the strategy's annotations name.

    Args:
        name: of the strategy, for the error.
        made: what takes them.
        ours: arguments that are not the user's to choose.

    Raises:
        ConfigError: it takes no such option, or not this value; functions cannot be named in a file.
    """
    parameters = inspect.signature(made).parameters
    taken = {key: one.annotation for key, one in parameters.items() if _is_plain(key, one) and key not in ours}
    for option in options:
        if option not in taken:
            raise ConfigError(f"flower.options: {name} takes no {option!r}; it takes {', '.join(sorted(taken))}")
    return {option: _checked(name, option, value, taken[option]) for option, value in options.items()}


def check_counts(name: str, options: Options, clients: int) -> None:
    """Whether there are enough clients.

    Args:
        name: of the strategy.
        options: as `checked_options` gives them.
        clients: that train in a round.

    Raises:
        ConfigError: the strategy cannot withstand so many malicious ones, or select so many.
    """
    if name not in _PER_MALICIOUS:
        return
    malicious, factor = int(options.get("num_malicious_nodes", 0)), _PER_MALICIOUS[name]
    if clients < (wanted := factor * malicious + 3):
        raise ConfigError(
            f"flower.options: {name} with num_malicious_nodes {malicious} needs {wanted} clients in a round "
            f"({factor} for each, and 3), there are {clients}"
        )
    if (selected := int(options.get("num_nodes_to_select", 1))) > clients - malicious:
        raise ConfigError(
            f"flower.options: {name}: num_nodes_to_select {selected}, at most {clients - malicious} was expected: "
            f"{clients} clients in a round without num_malicious_nodes {malicious}"
        )


def _is_plain(key: str, parameter: inspect.Parameter) -> bool:
    """What a file can say: a number, a word; without an annotation it is for the strategy to know."""
    kind = parameter.annotation
    return key != _FIXED and not key.endswith("_fn") and (kind is parameter.empty or _name(kind) in _KINDS)


def _checked(name: str, option: str, value: Option, annotation: object) -> Option:
    kind = _KINDS.get(_name(annotation))
    if kind is None:
        return value
    config = ConfigDict(allow_inf_nan=False)
    try:
        wanted: Any = Annotated[kind, _RANGES[option]] if option in _RANGES else kind
        checked: Option = TypeAdapter(wanted, config=config).validate_python(value)
    except ValidationError as error:
        raise ConfigError(f"flower.options: {name}: {option} {value!r}: {error.errors()[0]['msg']}") from error
    return checked


def _name(annotation: object) -> str:
    # annotations of a module may be kept as text
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
