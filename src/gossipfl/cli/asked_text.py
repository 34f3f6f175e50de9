"""What came of asking all nodes, for people and as JSON."""

from rich.console import Group

from gossipfl.cli.output import emit, table
from gossipfl.node.proposing import Asked


def show(asked: Asked, *, json: bool) -> None:
    """Prints it."""
    plan = asked.plan
    rows = [[name, _word(answer)] for name, answer in asked.answers.items()]
    result = {
        "plan": plan.key,
        "phase": plan.phase,
        "stops": plan.stops,
        "nodes": [
            {"name": name, "follows": answer == "", "answer": _word(answer)} for name, answer in asked.answers.items()
        ],
    }
    what = "stops after" if plan.stops else "keeps and signs its state after"
    title = f"{plan.key}: everybody who follows {what} phase {plan.phase}"
    emit(result, json=json, text=Group(title, table(("node", "answer"), rows)))


def _word(answer: str | None) -> str:
    match answer:
        case None:
            return "no answer; it hears of it from its neighbors"
        case "":
            return "follows"
        case _:
            return answer
