"""What travels between nodes."""

from collections.abc import Mapping

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.codecs.blocks import Blocks
from gossipfl.core.codecs.dtypes import Brain, Half, Plain
from gossipfl.core.codecs.low_rank import LowRank
from gossipfl.core.codecs.seam import BuildCodec, Codec, Payload, Stream
from gossipfl.core.codecs.sparse import RandomK, TopK
from gossipfl.core.codecs.squeezed import Squeezed
from gossipfl.core.tables import resolve

CODECS: Mapping[str, BuildCodec] = {
    "fp32": lambda _: Plain(),
    "fp16": lambda _: Half(),
    "bf16": lambda _: Brain(),
    "int8": lambda _: Blocks(8),
    "int4": lambda _: Blocks(4),
    "top_k": lambda gossip: TopK(gossip.codec_share),
    "random_k": lambda gossip: RandomK(gossip.codec_share),
    "low_rank": lambda gossip: LowRank(gossip.codec_rank),
}
"""Builders by the name in `gossip.codec`."""


def build_codec(gossip: GossipConfig) -> Codec:
    """The codec that `gossip.codec` and `gossip.zstd` name.

    Raises:
        ConfigError: there is none of that name.
    """
    codec = resolve(CODECS, gossip.codec, field="gossip.codec")(gossip)
    return Squeezed(codec) if gossip.zstd else codec


__all__ = ["CODECS", "BuildCodec", "Codec", "Payload", "Stream", "build_codec"]
