"""`gossipfl dashboard`: the live page of a network."""

import asyncio
import os
from typing import Annotated

import typer

from gossipfl.cli.options import JsonOption, NameOption, PeersOption, TokenFileOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.node.asking import Observer, observer
from gossipfl.node.dashboard.site import Site, read_token, require_dashboard, site_at

app = command_app()


@app.command(
    epilog=example(
        "gossipfl dashboard --peers peers.yaml",
        "gossipfl dashboard --peers peers.yaml --port 9000 --json",
        "gossipfl dashboard --peers peers.yaml --host 0.0.0.0 --token-file token.txt",
    )
)
def dashboard(  # noqa: PLR0913  # one an option
    *,
    peers: PeersOption,
    name: NameOption = None,
    port: Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65535)] = 8787,
    host: Annotated[str, typer.Option(help="Address to listen at; any but loopback needs a token.")] = "127.0.0.1",
    token_file: TokenFileOption = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="The nodes run without TLS.")] = False,
    json: JsonOption = False,
) -> None:
    """Serve one page that shows all nodes live, until Ctrl-C; it asks them as `gossipfl status` does.

    The page needs nothing but this program: no network besides. Nodes are asked while somebody has it open. Off
    loopback it is served over TLS with this node's own certificate, to whoever knows the token (any name, the token as
    password).
    """
    require_dashboard()
    site = site_at(host, port, read_token(token_file, os.environ))
    asyncio.run(_serve(site, observer(peers, name=name, environ=os.environ, insecure=insecure), json=json))


async def _serve(site: Site, ready: Observer, *, json: bool) -> None:
    from gossipfl.node.dashboard.serving import serving  # noqa: PLC0415  # the extra is known to be there by now

    async with serving(site, ready) as url:
        emit({"url": url}, json=json, text=f"{url}  (Ctrl-C ends it)")
        await asyncio.Event().wait()
