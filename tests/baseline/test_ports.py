"""A server that finds its port taken gets another, and nobody else's server is taken for it."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipfl.baseline import ports
from gossipfl.baseline.ports import ATTEMPTS, Opening, Startable, free_ports
from gossipfl.baseline.processes import Family, family
from gossipfl.config.addresses import LOOPBACK
from gossipfl.errors import NetworkError, TrainingError
from gossipfl.net.certificates import NodeFiles, TrialFiles, make_trial_certificates

SERVER = """
import socket, ssl, sys
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[2], sys.argv[3])
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listening:
    while True:
        try:
            context.wrap_socket(listening.accept()[0], server_side=True).close()
        except OSError:
            pass
"""


@pytest.fixture
def members() -> Iterator[Family]:
    with family({}) as members:
        yield members


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as holder:
        yield holder


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TrialFiles:
    return make_trial_certificates(tmp_path_factory.mktemp("certs"), {"server": f"{LOOPBACK}:443"})


def server(members: Family, files: NodeFiles, log: Path) -> Startable:
    return Startable(
        lambda port: members.start(
            [sys.executable, "-c", SERVER, str(port), str(files.certificate), str(files.key)], log
        ),
        log,
    )


def port_of(holder: socket.socket) -> int:
    port: int = holder.getsockname()[1]
    return port


def test_a_taken_port_is_passed_over(
    tmp_path: Path, members: Family, taken: socket.socket, certificates: TrialFiles
) -> None:
    free = next(free_ports())
    opening = Opening(certificates.authority, iter([port_of(taken), free]), 60)
    opened = opening.open({"it": server(members, certificates.nodes["server"], tmp_path / "log")})
    assert opened["it"].port == free
    assert opened["it"].child.poll() is None


def ending(members: Family, log: Path) -> Startable:
    return Startable(lambda _port: members.start([sys.executable, "-S", "-c", "raise SystemExit(3)"], log), log)


def test_with_no_free_port_all_that_were_tried_are_named(
    tmp_path: Path,
    members: Family,
    taken: socket.socket,
    certificates: TrialFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # whoever has the port says nothing at all
    monkeypatch.setattr(ports, "ANSWER_S", 0.1)
    port = port_of(taken)
    opening = Opening(certificates.authority, iter([port] * ATTEMPTS), 60)
    with pytest.raises(
        NetworkError, match=rf"it .*: ports ({port}, ){{{ATTEMPTS - 1}}}{port} of 127.0.0.1 are all taken"
    ):
        opening.open({"it": ending(members, tmp_path / "log")})


def test_a_server_that_ends_at_once_is_told_with_its_log(tmp_path: Path, members: Family) -> None:
    certificates = make_trial_certificates(tmp_path, {"server": None})
    with pytest.raises(TrainingError, match=r"it \(see .*it\.log\) ended with code 3 before it answered"):
        Opening(certificates.authority, free_ports(), 60).open({"it": ending(members, tmp_path / "it.log")})


def test_a_server_of_another_authority_does_not_count(
    tmp_path: Path, members: Family, certificates: TrialFiles
) -> None:
    other = make_trial_certificates(tmp_path / "other", {"server": f"{LOOPBACK}:443"})
    opening = Opening(certificates.authority, free_ports(), 1)
    with pytest.raises(TrainingError, match="it did not answer within 1 s; see"):
        opening.open({"it": server(members, other.nodes["server"], tmp_path / "log")})


def test_no_port_is_given_twice() -> None:
    given = free_ports()
    assert len({next(given) for _ in range(50)}) == 50
