"""Runs what the pages show: the shell blocks of one page in order, in one folder, by Sybil.

    ```bash                                   run; a failing line fails the test
    ```text     right behind it               what it printed, `...` for what differs from run to run (as doctest)
    <!-- skip: next, "needs three machines" -->
    ```bash                                   shown and not run, with the reason
    <!-- slow -->                             the page trains: with the slow tests

Addresses of this machine get free ports, so that several tests may run at a time.
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import SkipTest

from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser
from sybil.typing import Parser
from tests.net.world import free_port

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
SLOW = "<!-- slow -->"
_LOCAL = re.compile(r"127\.0\.0\.1:(\d+)")
_LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def pages() -> Sequence[Path]:
    """Pages with shell blocks."""
    return [path for path in sorted(DOCS.rglob("*.md")) if "```bash" in path.read_text()]


class Shell:
    """The folder a reader of one page works in, and what the last command printed there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        self.printed: str | None = None
        for name in ("experiments", "topologies"):
            shutil.copytree(ROOT / name, folder / name)

    def run(self, example: Example) -> str | None:
        """Runs one block; what went wrong, or nothing."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        # a home of its own: what was spent on common data is booked there
        home = {"HOME": str(self.folder / "home"), "XDG_DATA_HOME": str(self.folder / "home" / "data")}
        environment = {**os.environ, **home, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1"}
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", self._here(example.parsed)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
        self.printed = done.stdout + done.stderr
        return None if done.returncode == 0 else f"exit code {done.returncode}:\n{self.printed}"

    def compare(self, example: Example) -> str | None:
        """Holds a shown output against what was printed; a block of text elsewhere is a picture."""
        shown, printed, self.printed = example.parsed, self.printed, None
        if printed is None or doctest.OutputChecker().check_output(shown, printed, _LIKE):
            return None
        return f"shown:\n{shown}\nprinted:\n{printed}"

    def _here(self, source: str) -> str:
        return _LOCAL.sub(lambda found: f"127.0.0.1:{self.ports.setdefault(found[1], free_port())}", source)


def run_page(path: Path, folder: Path) -> int:
    """Runs a page from top to bottom; how many blocks of shell were run.

    Raises:
        SybilFailure: a block failed, or printed something else than the page says.
    """
    shell, ran = Shell(folder), 0
    for example in _document(path, shell):
        try:
            example.evaluate()
        except SkipTest:
            shell.printed = None
            continue
        ran += example.region.evaluator == shell.run
    return ran


def _document(path: Path, shell: Shell) -> Document:
    parsers: list[Parser] = [CodeBlockParser("bash", shell.run), CodeBlockParser("text", shell.compare), SkipParser()]
    return Sybil(parsers).parse(path)


def shown_commands() -> Iterator[tuple[Path, str]]:
    """Every line of `gossipfl` in a block of shell, also of those that are not run: (page, words behind gossipfl)."""
    for path in pages():
        for block in re.findall(r"^ *```bash\n(.*?)^ *```", path.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.match(r"\s*(?:! )?gossipfl (.*)", line)
                if found:
                    yield path, found[1]
