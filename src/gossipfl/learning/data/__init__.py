"""From files to tokens: a node's records, its part of a common dataset, its units and their batches.

sources -> records -> split -> units -> tokens -> examples
a table    validated  a node's  a person's  ids and   micro-batches
           values     part      records     targets   of whole units
"""

from gossipfl.learning.data.examples import Examples
from gossipfl.learning.data.loading import (
    DataSite,
    NodeData,
    NodeRecords,
    load_node_data,
    load_node_records,
    load_test,
    load_test_records,
    tokenize_node,
)

__all__ = [
    "DataSite",
    "Examples",
    "NodeData",
    "NodeRecords",
    "load_node_data",
    "load_node_records",
    "load_test",
    "load_test_records",
    "tokenize_node",
]
