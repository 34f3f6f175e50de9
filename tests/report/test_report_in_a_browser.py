"""The report in a real browser: it is laid out, its plots are drawn, in daylight and in the dark, and nothing is asked
of a network."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.report.written_runs import Written, compared, experiment

from gossipfl.report.compare_page import Origin, write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # whoever asks for a host gets none
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
DAY = {"paper": (255, 255, 255), "ring": (0x0B, 0x63, 0xCE), "star": (0xC2, 0x41, 0x0C)}
NIGHT = {"paper": (0x14, 0x17, 0x1B), "ring": (0x6C, 0xB0, 0xFF), "star": (0xFF, 0x9D, 0x5C)}
Look = dict[str, tuple[int, int, int]]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium"),
]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The report of two arms."""
    ring = [Written([0.1, 0.5, 0.7, 0.8]), Written([0.1, 0.6, 0.8, 0.9])]
    star = [Written([0.1, 0.3, 0.4, 0.5]), Written([0.1, 0.2, 0.3, 0.4])]
    comparison = compared(tmp_path, {"ring": ring, "star": star}, goal=0.75)
    write_page(comparison, Origin("gossipfl compare x.yaml", experiment(), 2))
    return comparison.report


def browse(report: Path, *options: str) -> str:
    assert CHROMIUM is not None
    profile = f"--user-data-dir={report.parent / 'profile'}"
    command = [CHROMIUM, *QUIET, profile, *options, report.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def pictured(report: Path, size: tuple[int, int], *options: str) -> np.ndarray[tuple[int, int, int], np.dtype[np.int_]]:
    """(height, width, 3) what there is to see."""
    path = report.parent / "seen.png"
    browse(report, f"--window-size={size[0]},{size[1]}", f"--screenshot={path}", *options)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.int_)


def amount(seen: np.ndarray[tuple[int, int, int], np.dtype[np.int_]], color: Sequence[int]) -> int:
    """Pixels of about this color."""
    return int((np.abs(seen - np.array(color)).max(axis=2) <= 12).sum())


@pytest.mark.parametrize(
    ("look", "options"), [(DAY, ()), (NIGHT, ("--blink-settings=preferredColorScheme=0",))], ids=["day", "night"]
)
def test_the_plots_are_there_in_the_colors_of_their_arms(report: Path, look: Look, options: tuple[str, ...]) -> None:
    seen = pictured(report, (1200, 1600), *options)
    assert amount(seen, look["paper"]) > seen[..., 0].size / 2
    # curves some hundred pixels long and two wide, in three plots
    assert amount(seen, look["ring"]) > 2000
    assert amount(seen, look["star"]) > 2000


def test_without_its_plots_those_colors_are_hardly_there(report: Path) -> None:
    report.write_text(report.read_text().replace("figure svg {", "figure svg { visibility: hidden;"))
    assert amount(pictured(report, (1200, 1600)), DAY["ring"]) < 1000


def test_on_a_phone_everything_fits_the_width(report: Path) -> None:
    seen = pictured(report, (500, 2600))
    # plots stand one below the other: the ring's color is in four places down the page
    rows = (np.abs(seen - np.array(DAY["ring"])).max(axis=2) <= 12).any(axis=1)
    stretches = np.flatnonzero(np.diff(rows.astype(int)) == 1)
    assert len(stretches[np.diff(stretches, prepend=-1000) > 50]) >= 4
    # text and plots end before the right edge
    assert (seen[:, -5:].reshape(-1, 3) == 255).all(axis=1).mean() > 0.9


def test_the_page_is_understood_as_it_was_written(report: Path) -> None:
    understood = browse(report, "--dump-dom")
    assert understood.count("<svg") == 4
    assert understood.count("<table") >= 4
    assert "parsererror" not in understood
