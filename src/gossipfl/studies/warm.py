"""What a comparison's runs have imported before they begin, see `forked`."""

from gossipfl.importing import quick_import

for module in (
    "gossipfl.sim.simulate",
    "gossipfl.sim.engines.batched",
    "gossipfl.baseline.fedavg",
    "gossipfl.studies.pooled",
    # every optimizer of torch's imports it when it is made
    "torch._dynamo",
):
    quick_import(module)
