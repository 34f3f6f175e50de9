"""The one line in which Flower's internals are touched: a test says clearly when a new version moves them."""

from flwr.supercore.task_identity import TaskIdentity


def claim_identity(node_id: int) -> None:
    """Lets this process make messages, as a task of Flower's runtime may; without it `Message(…)` raises."""
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, node_id
