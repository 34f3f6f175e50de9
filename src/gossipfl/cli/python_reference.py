"""The page of the public interface: signature and docstring of every name in `gossipfl.__all__`."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

import gossipfl

_OPENING = """\
# Python

The public interface, made from the code by `scripts/reference`: what stands in `gossipfl.__all__`, and nothing else. A
mistake of the user's raises [`UserError`](#usererror) or a kind of it; its message is what the command line prints
behind `error:`.
"""
_SECTION = re.compile(r"^([A-Z][a-z]+):$")
_ITEM = re.compile(r"^    (\w+(?:, \w+)*): (.*)$")
_QUALIFIED = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z])")
_OPAQUE = re.compile(r"<[^<>]*(?:<[^<>]*>[^<>]*)*>")


def python_reference() -> str:
    """The whole page as Markdown."""
    package = f"```text\n{inspect.getdoc(gossipfl)}\n```\n"
    return "\n".join([_OPENING, package, *(_entry(name, getattr(gossipfl, name)) for name in gossipfl.__all__)])


def _entry(name: str, value: Any) -> str:  # noqa: ANN401  # a class, a function or a type
    lines = [f"## {name}", ""]
    if inspect.isfunction(value) or (inspect.isclass(value) and not issubclass(value, BaseModel | Exception)):
        lines += ["```python", f"{name}{_signature(value)}", "```", ""]
    if inspect.isclass(value) and issubclass(value, BaseModel):
        lines += ["Its fields: [the two files](../configuration.md).", ""]
    lines += _markdown(inspect.getdoc(value) or "")
    if inspect.isclass(value) and not issubclass(value, BaseModel):
        for method, function in vars(value).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                heading = f"### {name}.{method}"
                body = _markdown(inspect.getdoc(function) or "")
                lines += ["", heading, "", "```python", f"{method}{_signature(function)}", "```", "", *body]
    return "\n".join(lines) + "\n"


def _signature(value: Any) -> str:  # noqa: ANN401  # as above
    """One line, or where that is long one parameter a line; annotations by their short names."""
    signature = inspect.signature(value)
    flat = _short(str(signature))
    if len(flat) < 100:
        return flat
    parts = [_short(str(one)) for one in signature.parameters.values()]
    keyword_only = [one.kind is inspect.Parameter.KEYWORD_ONLY for one in signature.parameters.values()]
    if any(keyword_only):
        parts.insert(keyword_only.index(True), "*")
    return "(\n" + "".join(f"    {part},\n" for part in parts) + ")" + flat[flat.rindex(") ->") + 1 :]


def _short(text: str) -> str:
    """Without packages, and `…` for a default that has no text of its own: its address changes with every process."""
    return _QUALIFIED.sub("", _OPAQUE.sub("…", text))


def _markdown(docstring: str) -> Iterator[str]:
    """A docstring's sections as bold words with lists; its own paragraphs and pictures as they are."""
    section = False
    for line in docstring.splitlines():
        heading = _SECTION.match(line)
        item = _ITEM.match(line)
        if heading:
            section = True
            yield from (f"**{heading[1]}**", "")
        elif section and item:
            yield f"- `{item[1]}`: {item[2]}"
        elif section and line.startswith("    "):
            yield f"  {line.strip()}" if line.startswith("        ") else line.strip()
        else:
            yield line
