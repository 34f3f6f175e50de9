"""The code that a model card shows: it loads the folder and runs as it stands."""

from collections.abc import Iterator

from torch import nn

from gossipfl.config.experiment import Experiment
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.tasks import KINDS

_FOLDER = 'folder = "."'
_WORDS = "What is ataxia?"


def loading_code(adapted: Adapted, *, whole: bool) -> str:
    """Python that loads an export without gossipfl and asks it something.

    Args:
        whole: the folder holds the whole model, not an adapter for PEFT.
    """
    if adapted.experiment.model.builtin is not None:
        return "\n".join(_of_builtin(adapted))
    if adapted.experiment.model.plain:
        return "\n".join(_of_plain(adapted, whole=whole))
    lines = [_imports(adapted, whole=whole), "", _FOLDER]
    if adapted.tokenizer is not None:
        lines.append("tokenizer = AutoTokenizer.from_pretrained(folder)")
    if adapted.base.images is not None:
        lines.append("processor = AutoImageProcessor.from_pretrained(folder)")
    lines += _whole(adapted) if whole else _with_adapter(adapted)
    return "\n".join([*lines, "", *_asked(adapted)])


def own_commands(experiment: Experiment) -> str:
    """Command lines of gossipfl that take the folder."""
    says_text = KINDS[experiment.task.kind].says_text
    generate = [f'gossipfl generate --adapter . --prompt "{_WORDS}"'] if says_text else []
    if experiment.model.plain:
        return f"{generate[0]} --code {experiment.model.source}"
    return "\n".join([*generate, "gossipfl evaluate --adapter . --data test.jsonl"])


def _class_of(adapted: Adapted) -> str:
    return KINDS[adapted.experiment.task.kind].model_class


def _imports(adapted: Adapted, *, whole: bool) -> str:
    names = [_class_of(adapted), *(["AutoTokenizer"] if adapted.tokenizer is not None else [])]
    if adapted.base.images is not None:
        names = ["AutoImageProcessor", *names]
    peft = "" if whole else "from peft import PeftConfig, PeftModel\n"
    pillow = "from PIL import Image\n" if adapted.base.images is not None else ""
    return f"{peft}{pillow}from transformers import {', '.join(names)}"


def _whole(adapted: Adapted) -> list[str]:
    return [f"model = {_class_of(adapted)}.from_pretrained(folder).eval()"]


def _with_adapter(adapted: Adapted) -> Iterator[str]:
    experiment = adapted.experiment
    yield "config = PeftConfig.from_pretrained(folder)"
    if adapted.labels:
        yield f"labels = {list(adapted.labels)!r}"
    yield f"base = {_class_of(adapted)}.from_pretrained("
    yield "    config.base_model_name_or_path,"
    yield f'    dtype="{experiment.model.dtype}",'
    if experiment.model.revision is not None:
        yield "    revision=config.revision,"
    if adapted.tokenizer is not None:
        yield "    pad_token_id=tokenizer.pad_token_id,"
    if adapted.labels:
        yield "    id2label=dict(enumerate(labels)),"
        yield "    label2id={label: place for place, label in enumerate(labels)},"
        # of another number of labels, the base model's own head is not wanted
        yield "    ignore_mismatched_sizes=True,"
    yield ")"
    yield "model = PeftModel.from_pretrained(base, folder).eval()"


def _asked(adapted: Adapted) -> Iterator[str]:
    asked = f'tokenizer("{_WORDS}", return_tensors="pt", return_token_type_ids=False)'
    match _class_of(adapted):
        case "AutoModelForCausalLM":
            yield f"inputs = {_prompt(adapted) or asked}"
            yield "said = model.generate(**inputs, max_new_tokens=20, do_sample=False)[0]"
            yield 'print(tokenizer.decode(said[inputs["input_ids"].shape[1] :], skip_special_tokens=True))'
        case "AutoModelForSeq2SeqLM":
            yield f"inputs = {asked}"
            yield "said = model.generate(**inputs, max_new_tokens=20, do_sample=False)[0]"
            yield "print(tokenizer.decode(said, skip_special_tokens=True))"
        case "AutoModelForSequenceClassification":
            yield f"inputs = {asked}"
            yield "print(model.config.id2label[model(**inputs).logits.argmax().item()])"
        case "AutoModelForTokenClassification":
            yield f"inputs = {asked}"
            yield "for token in model(**inputs).logits[0].argmax(-1).tolist():"
            yield "    print(model.config.id2label[token])"
        case "AutoModelForImageClassification":
            images = adapted.base.images
            colors = "RGB" if images is None or images.channels == 3 else "L"
            yield f'inputs = processor(Image.new("{colors}", (64, 64)), return_tensors="pt")'
            yield "print(model.config.id2label[model(**inputs).logits.argmax().item()])"
        case _:
            yield "print(model.config.architectures)"


def _prompt(adapted: Adapted) -> str:
    """A prompt as training had it; empty where it had none."""
    if adapted.experiment.data.prompt is None or adapted.tokenizer is None:
        return ""
    if not (adapted.experiment.task.chat_template and adapted.tokenizer.chat_template):
        return f'tokenizer("{_WORDS}\\n", return_tensors="pt", return_token_type_ids=False)'
    message = f'[{{"role": "user", "content": "{_WORDS}"}}]'
    return (
        f'tokenizer.apply_chat_template({message}, add_generation_prompt=True, return_tensors="pt", return_dict=True)'
    )


def _of_plain(adapted: Adapted, *, whole: bool) -> Iterator[str]:
    module, _, name = adapted.experiment.model.source.partition(":")
    yield "import torch"
    yield "from safetensors.torch import load_model" if whole else "from peft import PeftModel"
    yield "from transformers import AutoTokenizer"
    yield f"import {module}"
    yield ""
    yield _FOLDER
    yield "tokenizer = AutoTokenizer.from_pretrained(folder)"
    if not whole:
        yield "# an adapter goes around the very weights it was trained on: those that this gives must be the same"
    yield f"model, _ = {module}.{name}()"
    yield (
        'load_model(model, f"{folder}/model.safetensors")'
        if whole
        else "model = PeftModel.from_pretrained(model, folder)"
    )
    yield ""
    yield f'ids = tokenizer("{_WORDS}", return_tensors="pt")["input_ids"]'
    yield "with torch.no_grad():"
    yield "    print(tokenizer.decode(model.eval()(ids)[0, -1].argmax()))"


def _of_builtin(adapted: Adapted) -> Iterator[str]:
    yield "from collections import OrderedDict"
    yield ""
    yield "import torch"
    yield "from safetensors.torch import load_file"
    yield "from torch import nn"
    yield ""
    yield f"labels = {list(adapted.labels)!r}"
    yield "model = nn.Sequential(OrderedDict("
    for name, layer in adapted.module.named_children():
        made = f"Linear({layer.in_features}, {layer.out_features})" if isinstance(layer, nn.Linear) else "ReLU()"
        yield f"    {name}=nn.{made},"
    yield "))"
    yield 'model.load_state_dict(load_file("model.safetensors"))'
    yield f"print(labels[model.eval()(torch.zeros(1, {adapted.experiment.model.inputs})).argmax().item()])"
