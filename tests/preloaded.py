"""What a process of `studies.forked` has imported before a node is asked of it."""

from gossipfl.importing import quick_import

for module in ("gossipfl.cli.node", "gossipfl.learning.pretrained", "gossipfl.learning.adapters.core"):
    quick_import(module)
