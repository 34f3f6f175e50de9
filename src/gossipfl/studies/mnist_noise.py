"""Gossip and noise on non-IID MNIST: do the claims of the tutorials hold?

networks × noise × seeds by `gossipfl compare`, then the claims, each by paired differences over the seeds with 95%
intervals. Noise of a trusted server and noise of each node protect against different people: they are never compared.

python -m gossipfl.studies.mnist_noise [--quick] [--output DIR] [--resume]
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from gossipfl.config.loading import change_experiment, load_experiment
from gossipfl.report.pictures import save_formats
from gossipfl.studies.compare import compare
from gossipfl.studies.compare_plan import with_table
from gossipfl.studies.mnist_noise_arms import FULL, QUICK, SMALL, Scale, arms_of
from gossipfl.studies.mnist_noise_picture import draw_noise
from gossipfl.studies.mnist_noise_reading import reading
from gossipfl.studies.show_runs import show_runs
from gossipfl.studies.study_options import Terms, check_output, end_with, study_options

READING = "reading.md"
MODELS: Mapping[str, Mapping[str, object]] = {
    "mlp": {},
    # the claims say nothing about size, noise does: 7,850 values instead of 235,146
    "logistic": {"model.source": "builtin:logistic", "model.hidden": []},
}


def run_study(experiment: Path, output: Path, scales: Mapping[str, Scale], terms: Terms) -> str:
    """Runs all arms; the reading, as markdown, which is in the folder too.

    Args:
        scales: how much, by name of `MODELS`.

    Raises:
        UserError: see `compare`.
    """
    check_output(output, resume=terms.resume)
    parts: list[str] = []
    for model, scale in scales.items():
        arms = {name: arm.as_config() for name, arm in arms_of(scale).items()}
        table = {"arms": arms, "seeds": list(scale.seeds), "goal": scale.goal}
        wished = {**MODELS[model], "training.phases": scale.phases}
        loaded = with_table(change_experiment(load_experiment(experiment), wished, source=str(experiment)), table)
        folder, show = output / model, show_runs(model)
        found = compare(loaded, folder, resume=terms.resume, command=terms.command, show=show)
        parts.append(f"## {model}\n\n{reading(found, scale)}")
        (output / READING).write_text("\n".join(parts))
        save_formats(draw_noise(found, scale), output, f"accuracy-{model}")
    return "\n".join(parts)


def main() -> NoReturn:
    """Runs the study once and prints its reading."""
    options = study_options(__doc__, name="mnist-noise", quick="the small model, two networks, one ε, six rounds")
    scales = {"logistic": QUICK} if options.quick else {"mlp": FULL, "logistic": SMALL}
    end_with(lambda: run_study(options.experiment, options.output, scales, Terms(options.command, options.resume)))


if __name__ == "__main__":
    main()
