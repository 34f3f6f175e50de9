"""YAML as configuration files use it: one mapping, safe types, no key twice."""

from collections.abc import Hashable
from pathlib import Path

import yaml

from gossipfl.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice; YAML's own way is to keep the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is given twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_text(path: Path) -> str:
    """The file's text, UTF-8.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder, a file was expected") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def parse_mapping(text: str, *, source: str) -> dict[str, object]:
    """The one mapping that `text` holds.

    Args:
        source: what error messages call it.

    Raises:
        ConfigError: not YAML, empty, not a mapping, or a key given twice.
    """
    value = parse_value(text, source=source)
    if value is None:
        raise ConfigError(f"{source} is empty, a mapping of keys to values was expected")
    if not isinstance(value, dict):
        raise ConfigError(f"{source} holds a {type(value).__name__}, a mapping of keys to values was expected")
    return {str(key): item for key, item in value.items()}


def parse_value(text: str, *, source: str) -> object:
    """Any one YAML value; a bare `1e-3` is left to the model, which reads it as a number.

    Raises:
        ConfigError: not YAML, with line and column.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{source}{place}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{source} is not YAML: {' '.join(str(error).split())}") from None
