"""The site: it builds without a warning, has every page, and fetches nothing from elsewhere."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ROOT

FETCHED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^"'\s>]+""")
STYLED = re.compile(r"""(?:@import\s+(?:url\()?|url\()["']?(?:https?:)?//[^"')\s]+""")


def built(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=250)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    shutil.copytree(DOCS, folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    return folder


@pytest.fixture(scope="module")
def site(source: Path) -> Path:
    done = built(source)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "site"


def test_every_page_is_in_the_navigation_and_in_the_site(site: Path) -> None:
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    with (ROOT / "zensical.toml").open("rb") as file:
        named = set(re.findall(r"'([^']+\.md)'", str(tomllib.load(file)["project"]["nav"])))
    assert named == pages
    assert [page for page in pages if not (site / page).with_suffix(".html").exists()] == []


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    texts = {path: path.read_text() for kind in ("html", "css", "svg") for path in site.rglob(f"*.{kind}")}
    assert len(texts) > 20
    pattern = {".css": STYLED}
    found = {
        str(path): hits for path, text in texts.items() if (hits := pattern.get(path.suffix, FETCHED).findall(text))
    }
    assert found == {}
    # what the theme's script would load for it: diagrams and formulas
    assert [path for path, text in texts.items() if 'class="mermaid"' in text or 'class="arithmatex"' in text] == []


def test_what_is_fetched_is_found() -> None:
    assert FETCHED.findall('<script async src="https://example.org/a.js">')
    assert FETCHED.findall('<link rel="stylesheet" href=//example.org/a.css>')
    assert STYLED.findall("@import url(https://example.org/a.css)")
    assert not FETCHED.findall('<a href="https://example.org/"><img src="pictures/ring.svg">')


def test_a_link_to_nowhere_is_refused(source: Path, tmp_path: Path) -> None:
    for name in ("docs", "zensical.toml"):
        (shutil.copytree if name == "docs" else shutil.copy)(source / name, tmp_path / name)
    page = tmp_path / "docs" / "tutorial.md"
    page.write_text(page.read_text() + "\n[nowhere](nowhere.md)\n")
    assert built(tmp_path).returncode != 0
