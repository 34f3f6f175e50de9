"""What travels between nodes."""

from collections.abc import Mapping

from gossipfl.core.codecs.fp32 import Fp32
from gossipfl.core.codecs.seam import BuildCodec, Codec, Encoded

CODECS: Mapping[str, BuildCodec] = {"fp32": lambda _: Fp32()}
"""Builders by the name in `gossip.codec`: `resolve(CODECS, gossip.codec, field="gossip.codec")(gossip)`."""

__all__ = ["CODECS", "BuildCodec", "Codec", "Encoded"]
