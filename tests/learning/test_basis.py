"""The public basis: orthonormal, sign-fixed, unique, the same on every machine."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.test_handshake import OURS as GREETING

from gossipfl.config.experiment import Experiment
from gossipfl.core.handshake import check_greeting
from gossipfl.errors import HandshakeError, ModelError
from gossipfl.learning.adapters import Adapted, attach, make_basis
from gossipfl.learning.basis import Factors, compute_basis, load_basis, save_basis, sketch
from gossipfl.learning.models import load_base

SHAPES = st.tuples(st.integers(5, 24), st.integers(5, 24))


def random_weight(shape: tuple[int, int], seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32).astype(np.float64)


def basis_of(seed: int = 0, rank: int = 3, shape: tuple[int, int] = (12, 7)) -> dict[str, Factors]:
    return compute_basis([("one", random_weight(shape, seed)), ("two", random_weight(shape, seed + 1))], rank)


@given(shape=SHAPES, seed=st.integers(0, 10_000), rank=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_the_factors_are_the_leading_singular_vectors_out_by_in(shape: tuple[int, int], seed: int, rank: int) -> None:
    weight = random_weight(shape, seed)
    factors = compute_basis([("layer", weight)], rank)["layer"]
    sigma = np.linalg.svd(weight, compute_uv=False)
    assert factors.U.shape == (shape[0], rank)
    assert factors.V.shape == (shape[1], rank)
    np.testing.assert_allclose(factors.U.T @ weight @ factors.V, np.diag(sigma[:rank]), atol=1e-4)
    np.testing.assert_allclose(factors.U.T @ factors.U, np.eye(rank), atol=1e-5)
    np.testing.assert_allclose(factors.V.T @ factors.V, np.eye(rank), atol=1e-5)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_sign_does_not_depend_on_how_it_was_decomposed(seed: int) -> None:
    weight = random_weight((9, 14), seed)
    direct = compute_basis([("layer", weight)], 4)["layer"]
    # another algorithm: eigenvectors, whose signs are free
    _, vectors = np.linalg.eigh(weight @ weight.T)
    U = -vectors[:, ::-1][:, :4]
    U *= np.sign(np.take_along_axis(U, np.abs(U).argmax(axis=0)[None], axis=0))
    np.testing.assert_allclose(direct.U, U, atol=1e-4)
    assert (direct.U.max(axis=0) >= -direct.U.min(axis=0)).all()


def test_a_subspace_that_is_not_unique_is_refused_with_the_layers_name() -> None:
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((8, 8)))[0] for _ in range(2))
    weight = U @ np.diag([5, 4, 3, 3 * (1 - 5e-5), 2, 1, 0.5, 0]) @ V.T
    with pytest.raises(ModelError, match=r"adapter\.rank: layer encoder\.q has no unique subspace of rank 3"):
        compute_basis([("encoder.q", weight)], 3)
    with pytest.raises(ModelError, match="rank 8"):
        compute_basis([("encoder.q", weight)], 8)
    for rank in (2, 4, 7):
        compute_basis([("encoder.q", weight)], rank)


def test_a_square_cut_has_no_gap_to_check() -> None:
    assert basis_of(rank=7)["one"].V.shape == (7, 7)


def test_the_sketch_sees_a_turned_swapped_or_flipped_column_and_no_rounding() -> None:
    basis = basis_of()
    reference = np.array(sketch(basis))
    assert np.abs(reference).max() < 10
    U, V = basis["one"].U, basis["one"].V
    noise = np.float32(1e-6) * np.random.default_rng(1).standard_normal(U.shape).astype(np.float32)
    same = {**basis, "one": Factors(U + noise, V)}
    assert np.abs(np.array(sketch(same)) - reference).max() < 1e-4
    turned = U.copy()
    turned[:, :2] = U[:, :2] @ np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
    for changed in (Factors(-U, -V), Factors(U[:, ::-1], V[:, ::-1]), Factors(U, -V), Factors(turned, V)):
        assert np.abs(np.array(sketch({**basis, "one": changed})) - reference).max() > 1e-3


def test_a_file_gives_back_what_was_written_and_equal_bases_make_equal_files(tmp_path: Path) -> None:
    basis, shapes = basis_of(), {"one": (12, 7), "two": (12, 7)}
    path = tmp_path / "basis.safetensors"
    first = save_basis(basis, path, base_sha256="abc")
    content = path.read_bytes()
    assert save_basis(dict(reversed(basis.items())), path, base_sha256="abc") == first
    assert path.read_bytes() == content
    found = load_basis(path, shapes=shapes, rank=3, base_sha256="abc")
    for name, factors in basis.items():
        np.testing.assert_array_equal(found[name].U, factors.U)
        np.testing.assert_array_equal(found[name].V, factors.V)


def test_a_file_that_does_not_fit_is_one_line_that_says_why(tmp_path: Path) -> None:
    path, shapes = tmp_path / "basis.safetensors", {"one": (12, 7), "two": (12, 7)}
    save_basis(basis_of(), path, base_sha256="abc")
    with pytest.raises(ModelError, match="made for base model abc"):
        load_basis(path, shapes=shapes, rank=3, base_sha256="def")
    with pytest.raises(ModelError, match=r"holds rank 3 for one, adapter\.rank is 4"):
        load_basis(path, shapes=shapes, rank=4, base_sha256="abc")
    with pytest.raises(ModelError, match="of other layers"):
        load_basis(path, shapes={"one": (12, 7)}, rank=3, base_sha256="abc")
    with pytest.raises(ModelError, match="cannot be read"):
        load_basis(tmp_path / "missing", shapes=shapes, rank=3, base_sha256="abc")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelError, match="cannot be read"):
        load_basis(path, shapes=shapes, rank=3, base_sha256="abc")


def test_factors_that_are_not_orthonormal_are_refused(tmp_path: Path) -> None:
    path, basis = tmp_path / "basis.safetensors", basis_of()
    save_basis({**basis, "two": Factors(2 * basis["two"].U, basis["two"].V)}, path, base_sha256="abc")
    with pytest.raises(ModelError, match="the factors of two are not orthonormal"):
        load_basis(path, shapes={"one": (12, 7), "two": (12, 7)}, rank=3, base_sha256="abc")


def test_two_nodes_with_other_basis_files_refuse_each_other_by_name(
    adapted_of: Callable[..., Adapted], experiment_of: Callable[..., Experiment], tmp_path: Path
) -> None:
    experiment = experiment_of("llama", task="causal-lm", kind="core")
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
    found = make_basis(base, experiment)
    # as good a basis of the same layers as the first, but another: R would mean something else there
    turned = {name: Factors(-factors.U[:, ::-1], -factors.V[:, ::-1]) for name, factors in found.items()}
    greetings = []
    for name, basis in (("north", found), ("south", turned)):
        path = tmp_path / f"{name}.safetensors"
        save_basis(basis, path, base_sha256=base.sha256)
        components = adapted_of("llama", task="causal-lm", kind="core", basis=path).components()
        greetings.append(replace(GREETING, name=name, fingerprint=components))
    with pytest.raises(HandshakeError, match="'south' refused: another experiment: 'basis' is") as refused:
        check_greeting(*greetings)
    assert refused.value.reason == "fingerprint"
    assert str(refused.value).count(" there, ") == 1
    check_greeting(greetings[0], replace(greetings[0], name="south"))


def test_where_ranks_may_differ_they_are_no_part_of_the_handshake(
    experiment_of: Callable[..., Experiment], tmp_path: Path
) -> None:
    experiment, path = experiment_of("llama", task="causal-lm", kind="core"), tmp_path / "basis.safetensors"
    base = load_base(experiment.model, experiment.task, folder=Path(), seed=0)
    save_basis(make_basis(base, experiment), path, base_sha256=base.sha256)

    def nodes(**adapter: object) -> list[Adapted]:
        found = []
        for rank in (2, 4):
            wanted = experiment_of("llama", task="causal-lm", rank=rank, **adapter)
            fresh = load_base(wanted.model, wanted.task, folder=Path(), seed=0)
            found.append(attach(fresh, wanted, basis=path if adapter["kind"] == "core" else None))
        return found

    core = {"kind": "core", "basis": str(path), "mixed_ranks": True}
    svd = {"kind": "lora", "merge": "svd", "mixed_ranks": True}
    for wanted in (core, svd):
        small, large = nodes(**wanted)
        assert small.components() == large.components()
        assert small.basis_sketch == large.basis_sketch == ()
        assert small.components() != nodes(**{**wanted, "alpha": 3.0})[0].components()
    small, large = nodes(**core)
    # the leading block of the larger one's space
    for layer, R in ((name, small.initial.segment(name)) for name in small.spec.slices if name.endswith("core_R")):
        assert R.shape == (2, 2)
        site = layer.removesuffix(".core_R")
        for side in ("core_U", "core_V"):
            mine, theirs = (
                found.module.get_submodule(f"{site}.{side}").get_parameter("weight").detach().numpy()
                for found in (small, large)
            )
            leading = theirs[:, :2] if side == "core_U" else theirs[:2]
            assert np.array_equal(mine, leading)
    for merge in ("factors", "svd"):
        small, large = nodes(kind="lora", merge=merge)
        assert small.components() != large.components()
