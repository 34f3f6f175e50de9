"""peers.yaml and the list of revoked certificates are read again while nodes run; a wrong one changes nothing."""

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.forked import forked
from tests.node.study import make_study, wait_until

from gossipfl.net.certificate_files import read_authority
from gossipfl.net.revocations import NOTHING_REVOKED, read_revocations, revoke
from gossipfl.studies.fleet import Fleet

pytestmark = pytest.mark.slow


def test_a_node_more_and_a_certificate_less_while_the_others_run(tmp_path: Path, tiny_model: Path) -> None:
    names = ("ada", "bob", "cid")
    training = {"phases": 4000, "local_steps": 1, "evaluate_every": 0}
    study = make_study(tmp_path / "study", tiny_model, names=names, training=training)
    certs = study.folder / "certs"
    pair = read_authority(certs / "authority.pem", certs / "authority.key")
    (certs / "revoked.pem").write_bytes(revoke(None, NOTHING_REVOKED, authority=pair))
    everybody: dict[str, Any] = {}

    def without_cid(content: dict[str, Any]) -> None:
        content |= {"revoked": "certs/revoked.pem", "probe_s": 0.2}
        everybody.update(content, nodes=list(content["nodes"]))
        content["nodes"] = content["nodes"][:2]

    def log(name: str) -> str:
        path = study.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    study.edit("peers.yaml", without_cid)
    with Fleet([study.job(name) for name in ("ada", "bob")], launch=forked) as fleet:
        wait_until(lambda: study.phase("ada") and study.phase("bob"), fleet, what="two train")
        good = study.peers.read_text()
        study.peers.write_text("nodes: [")
        wait_until(lambda: "peers.yaml is not taken" in log("ada"), fleet, what="nonsense is refused")
        study.peers.write_text(good.replace("experiment: experiment.yaml", "experiment: elsewhere.yaml"))
        for name in ("ada", "bob"):
            fleet.processes[name].send_signal(signal.SIGHUP)
        wait_until(lambda: "elsewhere.yaml" in log("bob"), fleet, what="an experiment that is not there is refused")
        before = study.phase("ada")
        wait_until(lambda: study.phase("ada") > before, fleet, what="they go on by what they had")

        study.edit("peers.yaml", lambda content: content.update(everybody))
        wait_until(lambda: all("3 nodes" in log(name) for name in ("ada", "bob")), fleet, what="both know the third")
        fleet.start(study.job("cid"))
        linked = [f"{name} link up" for name in ("ada", "bob")]
        wait_until(lambda: all(line in log("cid") for line in linked), fleet, what="links with the third")

        listed = read_revocations(certs / "revoked.pem", pair.certificate)
        (certs / "revoked.pem").write_bytes(revoke((certs / "cid.pem").read_bytes(), listed, authority=pair))
        for name in ("ada", "bob"):
            wait_until(lambda name=name: "cid was revoked" in log(name), fleet, what="it is shut out")  # type: ignore[misc]
        wait_until(lambda: "not reached: permission_denied" in log("cid"), fleet, what="nobody lets it in")
        fleet.kill("cid")
