"""What a comparison's runs have imported before they begin, see `forked`."""

from gossipfl.importing import quick_import

for module in (
    "gossipfl.studies.compare_run",
    "gossipfl.sim.engines.batched",
    # every optimizer of torch's imports it when it is made
    "torch._dynamo",
):
    quick_import(module)
