"""What an audit leaves in its folder: config.yaml, result.json, pictures."""

from pathlib import Path

from gossipfl.config.loading import dump_experiment
from gossipfl.core.json_text import json_text
from gossipfl.report.audit_picture import draw_bounds, draw_rocs
from gossipfl.report.pictures import save_formats
from gossipfl.studies.audit_privacy import AuditResult
from gossipfl.studies.audit_views import Observer

BOUNDS = ("hops", "node", "attack", "guesses", "right", "ε at least", "ε claimed")
MEMBERS = ("hops", "node", "membership by", "AUC", "true rate at 1% false")


def write_audit(result: AuditResult, folder: Path) -> list[Path]:
    """Writes it into a folder that is there; gives the pictures.

    Raises:
        OSError: a file cannot be written.
    """
    experiment, name = result.stage.loaded.experiment, result.stage.loaded.path.stem
    (folder / "config.yaml").write_text(f"# gossipfl audit privacy\n{dump_experiment(experiment)}")
    shown = {named(view.observer): view.bound.epsilon for view in result.views}
    title = f"{name}: {result.stage.config.canaries} canaries, δ = {result.delta:g}"
    files = save_formats(draw_bounds(shown, result.epsilon_claimed, title=title), folder, "epsilon")
    if result.memberships:
        curves = {f"{named(one.observer)}, {one.attack}": one.roc for one in result.memberships}
        files += save_formats(draw_rocs(curves, title=f"{name}: who was trained on"), folder, "membership")
    (folder / "result.json").write_text(json_text(result.as_json()) + "\n")
    return files


def named(observer: Observer) -> str:
    """How tables and pictures call it."""
    links = "1 hop" if observer.hops == 1 else f"{observer.hops} hops"
    return f"{observer.node} ({links})"


def bound_rows(result: AuditResult) -> list[tuple[object, ...]]:
    """Rows below `BOUNDS`."""
    return [
        (
            view.observer.hops,
            view.observer.node,
            view.bound.attack,
            view.bound.guesses.made,
            view.bound.guesses.correct,
            view.bound.epsilon,
            result.epsilon_claimed,
        )
        for view in result.views
    ]


def member_rows(result: AuditResult) -> list[tuple[object, ...]]:
    """Rows below `MEMBERS`."""
    return [
        (one.observer.hops, one.observer.node, one.attack, one.roc.auc, one.roc.true_rate_at())
        for one in result.memberships
    ]
