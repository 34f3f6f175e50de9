"""GGUF files, the format of llama.cpp: converted once into a folder of bf16 safetensors.

Reading a GGUF takes some twenty seconds, the converted folder half of one. Weights of 4 and 8 bits lose nothing that
matters in bf16; training computes in the type that `model.dtype` names.
"""

import shutil
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from gossipfl.errors import ModelError
from gossipfl.learning.cache import cache_folder, file_sha256, locked
from gossipfl.learning.quiet import quiet

_VERSION = 1
"""Goes up when a conversion gives another result."""


def converted(path: Path) -> tuple[Path, str]:
    """The folder that holds a GGUF's model and tokenizer, and the GGUF's SHA-256.

    Guarantees:
        The folder is complete or absent, also with several processes converting at once.

    Raises:
        ModelError: transformers cannot read the file.
    """
    sha256 = file_sha256(path)
    folder = cache_folder() / "gguf" / f"{sha256}-{_VERSION}"
    if not folder.is_dir():
        try:
            with locked(folder.with_suffix(".lock")):
                # another process may have converted it while this one waited
                if not folder.is_dir():
                    _convert(path, folder)
        except OSError as error:
            raise ModelError(f"model.source: {path} cannot be converted into {folder.parent}: {error}") from error
    return folder, sha256


def _convert(path: Path, folder: Path) -> None:
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="converting-"))
    try:
        with quiet():
            _save(path, temporary)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _save(path: Path, folder: Path) -> None:
    place = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, "local_files_only": True}
    try:
        module = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.bfloat16)
        tokenizer = AutoTokenizer.from_pretrained(**place)
    # whatever the reader makes of a file that is damaged or of an unknown architecture
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"model.source: {path} is not a GGUF that transformers can read: {reason[0]}") from error
    _forget_quantization(module)
    module.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _forget_quantization(module: PreTrainedModel) -> None:
    # the weights are plain by now; saved with these, the folder would be taken for a quantized model
    for holder, name in [(module.config, "quantization_config"), (module, "hf_quantizer")]:
        if hasattr(holder, name):
            delattr(holder, name)
    for name in ("quantization_method", "is_quantized"):
        if hasattr(module, name):
            setattr(module, name, None if name == "quantization_method" else False)
