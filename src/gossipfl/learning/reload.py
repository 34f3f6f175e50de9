"""An export as a stranger uses it: transformers and PEFT alone, nothing of ours between the folder and the text."""

from pathlib import Path
from typing import Any

import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from transformers import AutoTokenizer

from gossipfl.learning.quiet import quiet


def reload_text(adapter_dir: Path, prompt: str, *, max_new_tokens: int = 100) -> str:
    """The answer to a chat prompt, greedily, from the folder that `export` wrote and the base model that it names.

    Args:
        adapter_dir: a PEFT folder, not merged, of a model with a chat template.
    """
    with quiet(), torch.no_grad():
        model: PeftModel = AutoPeftModelForCausalLM.from_pretrained(adapter_dir, dtype=torch.float32)
        tokenizer: Any = AutoTokenizer.from_pretrained(adapter_dir)
        messages = [{"role": "user", "content": prompt}]
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        out = model.eval().generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=max_new_tokens)
    answer = out[0, inputs["input_ids"].shape[1] :]
    return str(tokenizer.decode(answer, skip_special_tokens=True)).strip()
