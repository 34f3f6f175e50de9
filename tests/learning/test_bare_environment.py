"""A merged model in an environment that has transformers and no gossipfl: it loads, offline, and says the same."""

import json
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gossipfl.learning.adapters import Adapted
from gossipfl.learning.export import export
from gossipfl.state import AdapterState

pytestmark = pytest.mark.slow
IDS = [[3, 9, 27, 4, 12, 6], [5, 25, 40, 8, 16, 7]]
SCRIPT = """
import json, sys

def offline(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo"}:
        raise OSError(f"{event} of {arguments!r}: this test has no network")

sys.addaudithook(offline)
try:
    import gossipfl
except ModuleNotFoundError:
    pass
else:
    sys.exit(f"gossipfl is here: {gossipfl.__file__}")

import torch, transformers
folder, kind, ids = json.load(sys.stdin)
model = getattr(transformers, kind).from_pretrained(folder).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
with torch.no_grad():
    logits = model(input_ids=torch.tensor(ids)).logits
print(json.dumps({
    "logits": logits.tolist(),
    "labels": model.config.id2label,
    "words": tokenizer("w3 w4")["input_ids"],
    "prefix": sys.prefix,
    "gossipfl": sorted(name for name in sys.modules if name.startswith("gossipfl")),
}))
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that sees every installed package but gossipfl."""
    home = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / "venv")], check=True, timeout=120)
    packages = home / "packages"
    packages.mkdir()
    # links rather than the folders themselves: an installed gossipfl, editable or not, is left out either way
    for installed in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        for path in Path(installed).iterdir():
            if "gossipfl" not in path.name and path.suffix != ".pth":
                (packages / path.name).symlink_to(path)
    (site,) = (home / "venv").glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{packages}\n")
    return home / "venv" / "bin" / "python"


@pytest.mark.parametrize(
    ("name", "task", "kind"),
    [("bert", "sequence-classification", "ForSequenceClassification"), ("llama", "causal-lm", "ForCausalLM")],
)
def test_a_merged_model_loads_where_gossipfl_is_not_installed(
    name: str, task: str, kind: str, bare: Path, tmp_path: Path, adapted_of: Callable[..., Adapted]
) -> None:
    adapted = adapted_of(name, task=task)
    noise = np.random.default_rng(0).standard_normal(adapted.spec.size).astype(np.float32)
    export(adapted, AdapterState(adapted.spec, noise), tmp_path / "out", merge=True)
    done = subprocess.run(
        [str(bare), "-c", SCRIPT],
        input=json.dumps([str(tmp_path / "out"), f"AutoModel{kind}", IDS]),
        env={"HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    with torch.no_grad():
        expected = adapted.module(input_ids=torch.tensor(IDS)).logits
    assert torch.allclose(torch.tensor(found["logits"]), expected, atol=1e-5)
    assert found["gossipfl"] == []
    assert found["prefix"] == str(bare.parent.parent)
    assert found["words"] == [6, 7]
    if adapted.labels:
        assert list(found["labels"].values()) == list(adapted.labels)
