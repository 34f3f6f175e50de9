"""Flower's ClientApp in a deployment: `gossipfl.baseline.deployed_client:app`. A process lives for one message.

Its settings in the SuperNode's `--node-config`:
    partition-id   the client's number among the nodes
    experiment     experiment.yaml                    folder   what its relative paths refer to; default: where it lies
    trial          `true`: everything is on one machine: its part of `data.source`, seeded noise, an account in memory
In earnest, without `trial`:
    name           of this client                     data     its own records, relative to `folder`
    ledger         the ledger of its data; default: `privacy.ledger`, else beside the data
    new-account    reason for a fresh account on known data
    tokens         folder where `data.tokens: mapped` keeps tokens; default: in files that end with each message
"""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from gossipfl.importing import quick_import

_WORK = "gossipfl.baseline.at_work"
"""Imported when there is work, and quickly: most of what a process costs is that."""
app = ClientApp()


@app.query()
def query(message: Message, context: Context) -> Message:
    """See `client.roll_reply`."""
    answer: Message = quick_import(_WORK).query(message, context)
    return answer


@app.train()
def train(message: Message, context: Context) -> Message:
    """See `client.train_reply`."""
    answer: Message = quick_import(_WORK).train(message, context)
    return answer


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """See `client.evaluate_reply`."""
    answer: Message = quick_import(_WORK).evaluate(message, context)
    return answer
