"""Flower's ServerApp in a deployment: `gossipfl.baseline.deployed_server:app`.

Its settings in the run's configuration:
    experiment   experiment.yaml                      folder   what its relative paths refer to; default: where it lies
    output       folder of the run
    trial        everything is on one machine; `output` is a run's folder already, `experiment` lies in it
    told         on trial: file for lines to whoever has started all this
    order        on trial: Flower's numbers of the clients, in the nodes' order
"""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from gossipfl.importing import quick_import

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Runs all rounds."""
    quick_import("gossipfl.baseline.serving").serve(grid, context)
