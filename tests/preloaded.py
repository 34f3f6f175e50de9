"""What a process of `studies.forked` has imported before a node, a command or a run of a comparison is asked of it."""

from gossipfl.importing import quick_import

for module in (
    "gossipfl.cli.node",
    "gossipfl.learning.pretrained",
    "gossipfl.learning.adapters.core",
    "gossipfl.studies.warm",
):
    quick_import(module)
