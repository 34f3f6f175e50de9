"""A pydantic failure as one line: field, value, expectation; for an unknown key the nearest known one.

experiment.yaml: training.batch_size: -3, should be greater than 0
experiment.yaml: training.batchsize: unknown key, did you mean 'batch_size'?
"""

import difflib
import re
import types
from collections.abc import Sequence
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

LONGEST_VALUE = 60
Location = Sequence[int | str]


def explain(error: ValidationError, model: type[BaseModel], *, prefix: str = "") -> str:
    """The first failure in one line, and how many more there are."""
    details = error.errors(include_url=False, include_context=False)
    # an unknown key is often the reason why another is missing
    first = min(details, key=lambda detail: detail["type"] != "extra_forbidden")
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return _explain_one(first, model, prefix) + more


def _explain_one(detail: ErrorDetails, model: type[BaseModel], prefix: str) -> str:
    field = dotted(detail["loc"], prefix)
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    match detail["type"]:
        case "extra_forbidden":
            return f"{field}: unknown key, {_hint(detail['loc'], model)}"
        case "missing":
            return f"{field} is missing, it must be given"
        case "value_error":
            # validators of a section begin with the name of its field
            joint = "." if re.match(r"[a-z_]+: ", message) else ": "
            return f"{field}{joint}{message}" if field else message
        case "model_type":
            return f"{field}: {_shown(detail['input'])}, should be a section with keys of its own"
        case kind:
            message = re.sub(r"^\w+ should have (.*) after validation.*", r"should have \1", message)
            quotes = " (write it in quotes)" if kind == "string_type" and _is_scalar(detail["input"]) else ""
            return f"{field}: {_shown(detail['input'])}, {message}{quotes}"


def dotted(location: Location, prefix: str = "") -> str:
    """`nodes[2].address` for `("nodes", 2, "address")`."""
    text = prefix
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _hint(location: Location, model: type[BaseModel]) -> str:
    known = _keys(_model_at(location[:-1], model))
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _model_at(location: Location, model: type[BaseModel] | None) -> type[BaseModel] | None:
    # places in a list, and names in a mapping of sections, lead to the same kind of section
    parts = iter(part for part in location if not isinstance(part, int))
    for part in parts:
        if model is None:
            return None
        fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        annotation = fields.get(str(part))
        model = _section_in(annotation)
        if model is not None and get_origin(annotation) is dict:
            next(parts, None)
    return model


def _section_in(annotation: object) -> type[BaseModel] | None:
    """The section that an annotation holds, alone or in an Optional, a tuple or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, Union, types.UnionType, tuple, dict):
        found = [_section_in(inner) for inner in get_args(annotation)]
        return next((section for section in found if section is not None), None)
    return None


def _is_scalar(value: object) -> bool:
    return not isinstance(value, dict | list | None)


def _shown(value: object) -> str:
    if isinstance(value, dict | list) and not value:
        return "nothing given"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
