"""The section `data`: which of its fields name columns."""

from gossipfl.config.data import COLUMNS, DataConfig

NOT_READ = {"unit"}
"""Whose a record is, which no task reads and no export keeps."""


def test_every_field_that_says_it_is_a_column_is_kept_by_exports_and_no_other() -> None:
    said = {name: field.description or "" for name, field in DataConfig.model_fields.items()}
    columns = {name for name, text in said.items() if text.startswith("Column ") or ": column " in text}
    assert columns == {*COLUMNS, *NOT_READ}
    assert {"text", "prompt", "choices", "tags", "image"} <= {*COLUMNS}
