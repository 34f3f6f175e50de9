"""What models answer to prompts, and how near that is to what was wanted."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.learning.test_seq2seq import PAIRS

from gossipfl.config.experiment import Experiment, TaskConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.answer_metrics import METRICS, check_installed, chrf, exact_match, rouge_l
from gossipfl.learning.answers import answers, check_answering, with_answers
from gossipfl.learning.data.examples import Examples, make_examples
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.tokens import prompt_ids
from gossipfl.learning.evaluation import Evaluation, evaluate
from gossipfl.learning.tasks import make_task

Attach = Callable[..., Adapted]
RECORDS = tuple(Record(response, prompt=prompt) for prompt, response in PAIRS)
ALL = {"metrics": tuple(METRICS), "max_new_tokens": 7}

# ---- figures, by hand ----


def test_equal_is_equal_but_for_white_space() -> None:
    assert exact_match(["a b", " a  b\n", "A b", ""], ["a b", "a b", "a b", "a b"]) == 0.5


def test_rouge_l_is_f1_of_the_longest_common_subsequence_of_words() -> None:
    # the cat sat: 3 of 3 and 3 of 7
    assert rouge_l(["The cat sat."], ["the cat on the mat sat down"]) == pytest.approx(0.6)
    # not nearer for words in another order: 1 of 2 and 1 of 2
    assert rouge_l(["sat cat"], ["cat sat"]) == pytest.approx(0.5)
    assert rouge_l(["cat sat", "dog"], ["cat sat", "cat"]) == pytest.approx(0.5)
    assert rouge_l([""], ["cat"]) == 0.0


def test_rouge_l_knows_words_of_any_script() -> None:
    # rouge-score's own words are of ASCII letters only: nothing would be left of these
    assert rouge_l(["Größe ändern"], ["Größe ändern"]) == 1.0
    assert rouge_l(["сердце бьётся"], ["сердце стоит"]) == pytest.approx(0.5)


def test_chrf_is_f2_of_the_mean_precision_and_recall_of_character_n_grams() -> None:
    # letters 2 of 2 and 2 of 3, pairs 1 of 1 and 1 of 2: precision 1, recall 7/12
    assert chrf(["ab"], ["abc"]) == pytest.approx(7 / 11)
    # over all texts together: recall of letters 3/4, of pairs 1/2
    assert chrf(["ab", "x"], ["abc", "x"]) == pytest.approx(25 / 37)
    assert [chrf(["abc"], ["abc"]), chrf(["xyz"], ["abc"])] == pytest.approx([1.0, 0.0])


# ---- answers ----


def moved(adapted: Adapted) -> Adapted:
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for parameter in adapted.trained.values():
            parameter.add_(torch.from_numpy(rng.standard_normal(tuple(parameter.shape))).float())
    return adapted


def with_task(adapted: Adapted, **fields: Any) -> Adapted:
    task = adapted.experiment.task.model_copy(update=fields)
    object.__setattr__(adapted, "experiment", adapted.experiment.model_copy(update={"task": task}))
    return adapted


def one_by_one(adapted: Adapted, record: Record) -> str:
    """By transformers alone: a prompt at a time, nothing padded."""
    tokenizer, module = adapted.tokenizer, adapted.module
    assert tokenizer is not None
    encoder = adapted.experiment.task.kind == "seq2seq-lm"
    prompt = record.prompt or ""
    ids = tokenizer(prompt)["input_ids"] if encoder else prompt_ids(tokenizer, prompt, chat_template=True)
    out = module.generate(input_ids=torch.tensor([ids]), do_sample=False, max_new_tokens=7)  # type: ignore[operator]
    return str(tokenizer.decode(out[0, 1 if encoder else len(ids) :], skip_special_tokens=True)).strip()


@pytest.mark.parametrize(("name", "task"), [("gpt2", "causal-lm"), ("llama", "causal-lm"), ("t5", "seq2seq-lm")])
def test_in_a_batch_of_padded_prompts_each_is_answered_as_alone(name: str, task: str, adapted_of: Attach) -> None:
    adapted = with_task(moved(adapted_of(name, task=task, kind="lora")), **ALL)
    wanted = [one_by_one(adapted, record) for record in RECORDS]
    assert len(set(wanted)) > 1
    adapted.module.train()
    for size in (1, 3, 8):
        assert answers(adapted, RECORDS, micro_batch=size) == wanted
    assert adapted.module.training


def test_a_long_prompt_loses_its_beginning_to_leave_room_for_an_answer(adapted_of: Attach) -> None:
    adapted = with_task(moved(adapted_of("llama", task="causal-lm", kind="lora")), max_new_tokens=40)
    long = [Record("w1", prompt=" ".join(f"w{(start + place) % 60}" for place in range(90))) for start in (0, 7)]
    cut = [Record("w1", prompt=" ".join((record.prompt or "").split()[-24:])) for record in long]
    # a context of 64
    assert answers(adapted, long, micro_batch=2) == answers(adapted, cut, micro_batch=2)


@pytest.mark.slow
def test_answers_of_a_model_that_was_taught_them_are_those_wanted(adapted_of: Attach) -> None:
    adapted = with_task(adapted_of("t5", task="seq2seq-lm", kind="full"), **ALL)
    task, examples = make_task(adapted.experiment.task), examples_of(adapted)
    optimizer = torch.optim.Adam(adapted.trained.values(), lr=0.01)
    (rows,) = examples.load(np.arange(4), micro_batch=8)

    def judged() -> Evaluation:
        found = evaluate(adapted.module, task, examples, micro_batch=2)
        return with_answers(found, adapted, examples, micro_batch=2)

    before = judged()
    for _ in range(60):
        optimizer.zero_grad()
        task.losses(adapted.module, rows.tensors).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = judged()
    assert [after.measures[name] for name in METRICS] == pytest.approx([1.0, 1.0, 1.0])
    assert before.measures["exact_match"] == 0.0
    assert list(before.figures())[-4:] == ["token_accuracy", *METRICS]


def examples_of(adapted: Adapted) -> Examples:
    units = [[row] for row in range(len(RECORDS))]
    return make_examples(RECORDS, units, tokenizer=adapted.tokenizer, task=adapted.experiment.task)


def test_without_metrics_nothing_is_kept_or_asked(adapted_of: Attach) -> None:
    adapted = adapted_of("t5", task="seq2seq-lm", kind="lora")
    examples = examples_of(adapted)
    found = evaluate(adapted.module, make_task(adapted.experiment.task), examples, micro_batch=2)
    assert examples.records == ()
    assert with_answers(found, adapted, examples, micro_batch=2) is found


# ---- refused before training ----


def test_answers_that_do_not_fit_are_refused() -> None:
    module: Any = torch.nn.Identity()
    module.config = SimpleNamespace(max_position_embeddings=64, is_encoder_decoder=False)
    task = TaskConfig(kind="causal-lm", metrics=("chrf",), max_new_tokens=64)
    with pytest.raises(ConfigError, match=r"task\.max_new_tokens 64 leaves no room in the model's 64 tokens"):
        check_answering(module, task)
    check_answering(module, task.model_copy(update={"max_new_tokens": 63}))
    check_answering(module, task.model_copy(update={"metrics": ()}))


def test_a_missing_extra_is_told_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rouge_score", None)
    check_installed(("exact_match", "chrf"))
    with pytest.raises(ConfigError, match=r"rouge_l needs the extra `rouge`: pip install"):
        check_installed(("rouge_l",))


def test_a_task_that_answers_no_prompt_has_no_such_metrics(experiment_of: Callable[..., Experiment]) -> None:
    for name, task in (("bert", "sequence-classification"), ("llama", "causal-lm"), ("llama", "multiple-choice")):
        content = experiment_of(name, task=task).model_dump()
        content["task"]["metrics"] = ["chrf"]
        with pytest.raises(ValidationError, match=r"task\.metrics chrf: task\.kind causal-lm or seq2seq-lm with"):
            Experiment.model_validate(content)
