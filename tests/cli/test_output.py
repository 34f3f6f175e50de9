"""Results on stdout, everything else on stderr."""

import json
import math

import pytest

from gossipfl.cli.output import console, emit, note, table


def test_json_is_one_object_on_the_last_line_of_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    note("working")
    emit({"epsilon": math.inf, "loss": math.nan}, json=True, text="for people")
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1]) == {"epsilon": "Infinity", "loss": None}
    assert captured.out.count("\n") == 1
    assert captured.err == "working\n"


def test_people_get_the_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    emit({}, json=False, text="weights [0, 1] of [bold]a[/bold] " + "x" * 200)
    assert capsys.readouterr().out == "weights [0, 1] of [bold]a[/bold] " + "x" * 200 + "\n"


def test_a_table_in_a_pipe_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a" * 40, 1, 0.123456, None, True), ("b", 20, 2.0, "12%", False)]
    emit({}, json=False, text=table(["node", "steps", "loss", "share", "up"], rows))
    out = capsys.readouterr().out
    assert "a" * 40 in out
    assert "0.1235" in out
    assert "–" in out
    assert "yes" in out


def test_numbers_stand_to_the_right() -> None:
    drawn = table(["node", "steps", "share"], [("a", 1, "3%"), ("b", "1,000", None)])
    assert [column.justify for column in drawn.columns] == ["left", "right", "right"]


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("half")
    assert capsys.readouterr().err == "half\n"
