"""`gossipfl certs`: certificates for a trial, and the way they are made in earnest.

certs DIR --nodes a,b                               everything on one machine
certs authority DIR         (on the signer's)       a key to sign with
certs request --name a      (on a's machine)        key stays, request goes to the authority
certs sign a.csr --name a   (the authority's)       certificate goes back
certs pin --name a          (on a's machine)        no authority: others write the fingerprint into peers.yaml
certs revoke a.pem          (the authority's)       a certificate is worth nothing any more; the list goes to every node
"""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.names import checked_address, node_name, node_names
from gossipfl.cli.options import JsonOption, command_app, example
from gossipfl.cli.output import emit, note
from gossipfl.net.certificate_files import fingerprint, read_authority, read_certificate
from gossipfl.net.certificates import make_trial_certificates
from gossipfl.net.issuing import make_request, make_self_signed, sign_request
from gossipfl.net.pem_files import write_certificate, write_key
from gossipfl.net.revocations import NOTHING_REVOKED, read_revocations
from gossipfl.net.revocations import revoke as revoked_with

app = command_app(
    default="make",
    help="Make, request and sign node certificates. Everything at once, for a trial: gossipfl certs DIR --nodes a,b",
)

NodeOption = Annotated[str, typer.Option("--name", help="The node, as in peers.yaml.", metavar="NODE")]
AddressOption = Annotated[
    str | None, typer.Option(help="Where the node is dialed; its host goes into the certificate.", metavar="HOST:PORT")
]
FolderOption = Annotated[Path, typer.Option("--output", help="Folder to write to.", metavar="DIR")]
HERE = Path()


@app.command(hidden=True, epilog=example("gossipfl certs certs --nodes a,b,c,d"))
def make(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    *,
    nodes: Annotated[str, typer.Option(help="Node names, separated by commas.", metavar="A,B,…")],
    host: Annotated[str, typer.Option(help="Host of all nodes.")] = "127.0.0.1",
    json: JsonOption = False,
) -> None:
    """Authority and node certificates with their keys, for trials on one machine."""
    names = node_names(nodes)
    address = checked_address(f"{host}:1", option="--host")
    files = make_trial_certificates(folder, dict.fromkeys(names, address))
    note(
        "for trials: all keys were made on this machine; in earnest each node runs `gossipfl certs request`, "
        "and the authority's key stays on a machine of its own"
    )
    result = {
        "authority": str(files.authority),
        "nodes": {
            name: {"certificate": str(node.certificate), "key": str(node.key)} for name, node in files.nodes.items()
        },
    }
    emit(result, json=json, text=f"{len(names)} certificates and their authority in {folder}")


@app.command(epilog=example("gossipfl certs authority keys"))
def authority(folder: Annotated[Path, typer.Argument(metavar="DIR")], *, json: JsonOption = False) -> None:
    """An authority alone, on the machine that will sign; its key stays there, authority.pem goes to every node."""
    files = make_trial_certificates(folder, {})
    emit({"authority": str(files.authority)}, json=json, text=f"{files.authority} goes to every node")


@app.command(epilog=example("gossipfl certs request --name a --address a.example.org:7001"))
def request(
    *, name: NodeOption, address: AddressOption = None, output: FolderOption = HERE, json: JsonOption = False
) -> None:
    """A key, which stays on this machine (mode 0600), and a request for the authority to sign."""
    made = make_request(node_name(name), _granted(address))
    key, asked = output / f"{name}.key", output / f"{name}.csr"
    write_key(key, made.key)
    write_certificate(asked, made.certificate)
    emit(
        {"request": str(asked), "key": str(key)},
        json=json,
        text=f"send {asked} to the authority; {key} stays here",
    )


@app.command(epilog=example("gossipfl certs sign a.csr --name a --address a.example.org:7001 --authority certs"))
def sign(
    file: Annotated[Path, typer.Argument(metavar="REQUEST", help="What `certs request` wrote.")],
    *,
    name: NodeOption,
    address: AddressOption = None,
    authority: Annotated[Path, typer.Option(help="Folder with authority.pem and authority.key.", metavar="DIR")] = HERE,
    output: FolderOption = HERE,
    json: JsonOption = False,
) -> None:
    """Signs a node's request after checking that it asks for this name and address and nothing else."""
    pair = read_authority(authority / "authority.pem", authority / "authority.key")
    asked = read_certificate(file, field="REQUEST")
    certificate = output / f"{node_name(name)}.pem"
    pem = sign_request(asked, name, _granted(address), authority=pair)
    write_certificate(certificate, pem)
    emit(
        {"certificate": str(certificate), "fingerprint": fingerprint(pem)},
        json=json,
        text=f"{certificate} goes back to {name}, with {authority / 'authority.pem'}",
    )


@app.command(epilog=example("gossipfl certs revoke a.pem --authority keys"))
def revoke(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="CERTIFICATE", help="The node's certificate (PEM); none: a first, empty list."),
    ] = None,
    *,
    authority: Annotated[Path, typer.Option(help="Folder with authority.pem and authority.key.", metavar="DIR")] = HERE,
    json: JsonOption = False,
) -> None:
    """Adds a certificate to revoked.pem beside the authority; nodes whose peers.yaml names it (`revoked:`) read it."""
    pair = read_authority(authority / "authority.pem", authority / "authority.key")
    path = authority / "revoked.pem"
    before = read_revocations(path, pair.certificate) if path.exists() else NOTHING_REVOKED
    taken = None if file is None else read_certificate(file, field="CERTIFICATE")
    pem = revoked_with(taken, before, authority=pair)
    write_certificate(path, pem)
    listed = read_revocations(path, pair.certificate)
    emit(
        {"revoked": str(path), "number": listed.number, "certificates": len(listed.serials)},
        json=json,
        text=f"{path} (list {listed.number}, {len(listed.serials)} certificates) goes to every node",
    )


@app.command(epilog=example("gossipfl certs pin --name a --address a.example.org:7001"))
def pin(
    *, name: NodeOption, address: AddressOption = None, output: FolderOption = HERE, json: JsonOption = False
) -> None:
    """A key and a certificate that vouches for itself: its fingerprint goes into everybody's peers.yaml."""
    pair = make_self_signed(node_name(name), _granted(address))
    certificate, key = output / f"{name}.pem", output / f"{name}.key"
    write_key(key, pair.key)
    write_certificate(certificate, pair.certificate)
    printed = fingerprint(pair.certificate)
    emit(
        {"certificate": str(certificate), "key": str(key), "fingerprint": printed},
        json=json,
        text=f"fingerprint: {printed}",
    )


def _granted(address: str | None) -> str | None:
    return None if address is None else checked_address(address, option="--address")
