"""The adapter of an experiment, and one small enough to be averaged hundreds of times in its place.

    real spec   36 segments, 75,653 values          small   the first of them, the last cut to what fits
    bytes on the wire = bytes of the small one · codec's size of the real one / codec's size of the small one

How fast a codec agrees depends on its share of the values and not on how many there are: blocks and shares are alike.
"""

import math

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.loading import LoadedAveraging, LoadedExperiment
from gossipfl.core.codecs import build_codec
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.data import DataSite
from gossipfl.state import AdapterSpec, Segment


def exchanged_spec(loaded: LoadedExperiment | LoadedAveraging) -> AdapterSpec:
    """What a node of the experiment sends; of one with a model, this loads it.

    Raises:
        UserError: the model or its adapter cannot be had.
    """
    if isinstance(loaded, LoadedAveraging):
        return AdapterSpec((Segment("vector", (loaded.experiment.vectors.size,)),))
    names = loaded.experiment.simulation.names
    site = DataSite(names[0], names, None, loaded.folder, loaded.folder)
    return load_adapted(loaded.experiment, site).spec.shared()


def small_spec(spec: AdapterSpec, most: int) -> AdapterSpec:
    """The spec itself where it has at most so many values; else its first segments, the last one cut."""
    segments, left = [], most
    for segment in spec.segments:
        if segment.size > left:
            segments += [_cut(segment, left)] if left else []
            break
        segments.append(segment)
        left -= segment.size
    return AdapterSpec(tuple(segments))


def wire_ratio(gossip: GossipConfig, spec: AdapterSpec, small: AdapterSpec) -> float:
    """How many times as many bytes a publication of the real adapter has."""
    sizes = build_codec(gossip).sizes
    return sizes(spec)[-1] / sizes(small)[-1]


def _cut(segment: Segment, values: int) -> Segment:
    """Of a matrix as square a corner as there is room for, of a vector its beginning."""
    if len(segment.shape) < 2:
        return Segment(segment.name, (values,))
    rows, columns = segment.shape[0], math.prod(segment.shape[1:])
    kept = max(1, min(rows, math.isqrt(values)))
    return Segment(segment.name, (kept, max(1, min(columns, values // kept))))
