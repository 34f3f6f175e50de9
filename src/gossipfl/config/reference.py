"""The reference of every field of the two files, made from the models themselves."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gossipfl.config.experiment import Experiment
from gossipfl.config.peers import Peers

_OPENING = """\
# Configuration

Every field of `experiment.yaml` and `peers.yaml`, made from the code by `scripts/reference`. Unknown keys are errors.
One field of the experiment is overridden on the command line with `--set training.phases=3`.
"""


def reference() -> str:
    """The whole page as Markdown."""
    sections = [_OPENING, "## experiment.yaml\n", *_tables(Experiment, ""), "## peers.yaml\n", *_tables(Peers, "")]
    return "\n".join(sections)


def _tables(model: type[BaseModel], path: str) -> Iterator[str]:
    rows, inner = [], []
    for name, field in model.model_fields.items():
        place = f"{path}{field.alias or name}"
        nested = _nested(field)
        if nested is not None:
            inner.append((nested, place))
        if nested is None or field.description:
            rows.append(f"| `{place}` | {_default(field)} | {_one_line(field.description)} |")
    if rows:
        yield "\n".join(["| field | default | meaning |", "| --- | --- | --- |", *rows, ""])
    for nested, place in inner:
        if nested is not Experiment:
            yield f"### {place}\n\n{(nested.__doc__ or '').strip()}\n"
            yield from _tables(nested, f"{place}.")


def _nested(field: FieldInfo) -> type[BaseModel] | None:
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    found = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return found[0] if found else None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    return "–" if value in (None, (), {}) else f"`{value}`"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
