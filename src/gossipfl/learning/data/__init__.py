"""From files to examples: a node's records, its part of a common dataset, its units and their batches.

sources -> records -> common -> units -> tokens, vectors -> examples
a table    validated  a node's  a         ids and targets,    micro-batches
           values     part      person's  or numbers          of whole units
"""

from gossipfl.learning.data.examples import Examples
from gossipfl.learning.data.loading import (
    DataSite,
    FleetRecords,
    NodeData,
    load_all_node_records,
    load_fleet_records,
    load_node_data,
    load_node_records,
    load_test,
    load_test_records,
    make_test,
    own_tokens,
    tokenize_node,
)
from gossipfl.learning.data.sorting import NodeRecords, sort_out

__all__ = [
    "DataSite",
    "Examples",
    "FleetRecords",
    "NodeData",
    "NodeRecords",
    "load_all_node_records",
    "load_fleet_records",
    "load_node_data",
    "load_node_records",
    "load_test",
    "load_test_records",
    "make_test",
    "own_tokens",
    "sort_out",
    "tokenize_node",
]
