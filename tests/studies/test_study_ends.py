"""How a study's command line ends."""

from typing import NoReturn

import pytest

from gossipfl.studies.study_options import end_with


def _stopped() -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("resumes", "said"), [(True, "go on with --resume"), (False, "it begins anew")])
def test_a_study_that_is_stopped_says_how_to_go_on_as_far_as_it_can(
    capsys: pytest.CaptureFixture[str], *, resumes: bool, said: str
) -> None:
    with pytest.raises(SystemExit, match="130"):
        end_with(_stopped, resumes=resumes)
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert ("--resume" in line) == resumes
