"""YAML: one mapping, no key twice, mistakes with their place."""

from pathlib import Path

import pytest

from gossipfl.config.yaml_text import parse_mapping, read_text
from gossipfl.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"f.yaml is empty, a mapping"),
        ("# only a comment\n", r"f.yaml is empty, a mapping"),
        ("- a\n- b\n", r"f.yaml holds a list, a mapping"),
        ("just words", r"f.yaml holds a str, a mapping"),
        ("a: 1\nb: 2\na: 3\n", r"f.yaml, line 3, column 1: key 'a' is given twice"),
        ("a:\n  b: 1\n  b: 2\n", r"f.yaml, line 3, column 3: key 'b' is given twice"),
        ("a: [1, 2", r"f.yaml, line 1, column 9: expected ',' or '\]'"),
        ("a: b: c", r"f.yaml, line 1, column 5: mapping values are not allowed here"),
        ("a: !!python/object/apply:os.system [ls]", r"f.yaml, line 1, column 4: could not determine a constructor"),
        ("a: \x07", r"f.yaml is not YAML"),
        ("a: " + "[" * 5000, r"f.yaml is not YAML"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_mapping(text, source="f.yaml")
    assert "\n" not in str(caught.value)


def test_a_merged_key_may_be_given_again() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: {<<: *base, a: 3}\n"
    assert parse_mapping(text, source="f.yaml")["more"] == {"a": 3, "b": 2}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope.yaml: no such file"):
        read_text(tmp_path / "nope.yaml")
    with pytest.raises(ConfigError, match="is a folder"):
        read_text(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("a: caf\xe9".encode("latin-1"))
    with pytest.raises(ConfigError, match="byte 6 is not UTF-8"):
        read_text(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        read_text(tmp_path / "latin.yaml" / "inner")
