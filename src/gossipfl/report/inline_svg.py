"""Pictures that stand inside a page: its text, its colors, light or dark, nothing from elsewhere.

A picture is drawn in stand-ins of colors, and what takes their place is a variable of the page's style.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

ARM_COLORS = 10
"""Variables --arm-0 to --arm-9 of the page."""
INK = "#020001"
"""Stands for the color of the page's text."""
_STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": 12,
    "grid.color": INK,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_REFERENCES = re.compile(r'(\bid="|url\(#|href="#)')
_ARM = re.compile(r"#0100([0-9a-f]{2})")


def arm_color(place: int) -> str:
    """Stands for the color of an arm, by its place in the table."""
    return f"#0100{place % ARM_COLORS:02x}"


@contextmanager
def page_style() -> Iterator[None]:
    """Whatever is drawn meanwhile takes the page's ink, has no background, and keeps its text as text."""
    with mpl.rc_context(_STYLE):
        yield


def inline_svg(figure: Figure, name: str) -> Markup:
    """The `<svg>` element of a picture, to be put into a page as it is.

    Args:
        name: of the picture, no other of the page has it: its ids begin with it.
    """
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = _REFERENCES.sub(rf"\g<1>{name}-", text)
    text = _ARM.sub(lambda found: f"var(--arm-{int(found[1], 16)})", text).replace(INK, "currentColor")
    # drawn by matplotlib from figures and names that it has escaped
    return Markup(text)  # noqa: S704
