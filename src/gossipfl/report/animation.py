"""The graph of a recorded run over its evaluations, as a GIF."""

from pathlib import Path

import numpy as np
from matplotlib.animation import PillowWriter

from gossipfl.report.recorded import RecordedRun
from gossipfl.report.run_graph import build_scene, coloring_of, show

MOST_FRAMES = 60
LARGEST_ANIMATED = 300
"""Nodes."""
FRAMES_PER_S = 5
DPI = 90


def animate(run: RecordedRun, path: Path) -> None:
    """Writes the GIF: one color scale for all frames, the first and the last evaluation among them.

    Raises:
        OSError: the file cannot be written.
    """
    coloring = coloring_of(run)
    scene = build_scene(run, coloring, coloring.values)
    show(scene, run, coloring, 0)
    # laid out once: nothing moves from frame to frame
    scene.figure.draw_without_rendering()
    scene.figure.set_layout_engine("none")
    writer = PillowWriter(fps=FRAMES_PER_S)
    with writer.saving(scene.figure, str(path), DPI):
        for place in frames_of(len(run.evaluations)):
            show(scene, run, coloring, place)
            writer.grab_frame()


def frames_of(evaluations: int) -> list[int]:
    """Which evaluations are shown: all, or evenly chosen."""
    chosen = np.linspace(0, evaluations - 1, min(evaluations, MOST_FRAMES)).round().astype(int)
    return [int(place) for place in chosen]
