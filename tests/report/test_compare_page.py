"""The report of a comparison: all in one file, what was recorded and nothing else, markup only where it is ours."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.report.written_runs import Trials, Written, compared, experiment

from gossipfl.report.compare_page import Origin, write_page
from gossipfl.report.comparison import Fault

RING = [Written([0.1, 0.5, 0.7, 0.801]), Written([0.1, 0.6, 0.85, 0.903])]
STAR = [Written([0.1, 0.4, 0.6, 0.702], sent=0.0), Written([0.1, 0.5, 0.7, 0.755], sent=0.0)]
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """What is in it: attributes by tag, ids, and the text of table rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "xlink:href", "action", "data"}:
                self.references.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def page(folder: Path, trials: Trials, *, goal: float | None = None, command: str = "gossipfl compare x.yaml") -> str:
    comparison = compared(folder, trials, goal=goal)
    write_page(comparison, Origin(command, experiment(), 2))
    return comparison.report.read_text(encoding="utf-8")


def test_nothing_comes_from_elsewhere_and_every_id_is_there_once(tmp_path: Path) -> None:
    text = page(tmp_path, {"ring": RING, "star": STAR}, goal=0.8)
    found = Page(text)
    assert not found.open
    assert found.references
    assert all(reference.startswith("#") for reference in found.references)
    assert {reference[1:] for reference in found.references} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert "default-src 'none'" in text
    assert "@import" not in text
    # names of XML vocabularies are no addresses that anybody goes to
    addresses = set(re.findall(r"https?://[^\"' <>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_it_shows_what_was_recorded(tmp_path: Path) -> None:
    words = Page(page(tmp_path, {"ring": RING, "star": STAR}, goal=0.8)).words
    assert "0.852 ± 0.072" in words
    assert "0.728 ± 0.037" in words
    assert "25 ± 7" in words
    assert "never" in words
    assert "3 kB" in words
    # differences −.099 and −.148: t(0.975, 1) = 12.7062
    assert "[−0.435, +0.188] not told apart" in words
    assert "gossipfl compare x.yaml" in words
    assert "torch 2.13" in words
    assert "local_steps: 10" in words


def test_there_is_a_plot_against_steps_bytes_and_time_with_every_arm_in_it(tmp_path: Path) -> None:
    text = page(tmp_path, {"ring": RING, "star": STAR})
    for name in ("step", "bytes_per_node", "virtual_s", "differences"):
        assert f'id="plot-{name}"' in text
    assert text.count("<svg") == 4
    assert "var(--arm-0)" in text
    assert "var(--arm-1)" in text
    # stand-ins of colors are gone
    assert "#0100" not in text
    assert "#020001" not in text
    assert "currentColor" in text
    assert "Accuracy against ε" not in text


def test_epsilon_has_a_plot_where_an_arm_has_one(tmp_path: Path) -> None:
    private = [Written([0.1, 0.5], epsilon=7.5, noise="local"), Written([0.1, 0.6], epsilon=7.7, noise="local")]
    found = Page(page(tmp_path, {"private": private, "plain": RING}))
    assert "plot-epsilon" in found.ids
    assert "7.60 ± 0.14 (local)" in found.words


def test_with_one_seed_there_is_no_interval_and_it_says_so(tmp_path: Path) -> None:
    words = Page(page(tmp_path, {"ring": RING[:1], "star": STAR[:1]})).words
    assert "−0.099, no interval" in words
    assert "one seed: no interval" in words
    assert "0.801 ±" not in words


def test_what_users_and_libraries_say_is_no_markup(tmp_path: Path) -> None:
    fault = Fault("failed", "<script>alert(1)</script> & so on")
    text = page(tmp_path, {"ring": RING, "star": [fault, fault]}, command="gossipfl compare '<b>.yaml'")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on" in text
    assert "<b>.yaml" not in text


def test_a_comparison_without_any_result_is_reported_too(tmp_path: Path) -> None:
    found = Page(page(tmp_path, {"wild": [Fault("diverged", "values are no longer finite")]}))
    assert "diverged values are no longer finite" in found.words
    assert "svg" not in found.tags


def test_unequal_work_is_marked(tmp_path: Path) -> None:
    words = Page(page(tmp_path, {"ring": RING, "spent": [Written([0.1, 0.5])]})).words
    assert "Not all arms did the same work" in words
    assert "spent unequal work: 30 steps planned, 10 done" in words


def test_equal_runs_give_equal_plots(tmp_path: Path) -> None:
    first, second = (page(tmp_path / name, {"ring": RING, "star": STAR}) for name in ("one", "two"))
    assert re.findall(r"<svg.*?</svg>", first, re.DOTALL) == re.findall(r"<svg.*?</svg>", second, re.DOTALL)


@pytest.mark.parametrize("count", [12])
def test_more_arms_than_colors_are_told_apart_by_their_markers(tmp_path: Path, count: int) -> None:
    text = page(tmp_path, {f"arm-{place}": RING for place in range(count)})
    keys = re.findall(r'var\((--arm-\d)\)" aria-hidden="true">(.)</span> arm-', text)
    assert len(set(keys)) == count
