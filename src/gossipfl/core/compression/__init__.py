"""How values travel in fewer bytes."""

from collections.abc import Mapping

from gossipfl.core.compression.blocks import Blocks
from gossipfl.core.compression.dtypes import Brain, Half, Plain
from gossipfl.core.compression.low_rank import LowRank
from gossipfl.core.compression.seam import BuildCompression, Compression, Payload, Stream
from gossipfl.core.compression.sparse import RandomK, TopK

COMPRESSIONS: Mapping[str, BuildCompression] = {
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

__all__ = ["COMPRESSIONS", "BuildCompression", "Compression", "Payload", "Stream"]
