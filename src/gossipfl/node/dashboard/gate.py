"""What every request passes: the name it came by, the token, and the headers of every answer."""

import base64
import binascii
import hmac
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gossipfl.node.dashboard.site import is_loopback

HEADERS: Final = {
    # scripts and style are the page's own files; it is framed by nobody and sends its forms nowhere
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_ASK: Final = {"www-authenticate": 'Basic realm="gossipfl", charset="UTF-8"'}


class Gate:
    """Lets through who may look.

    Args:
        app: what is behind it.
        token: that has to be shown, as the password of Basic authentication or as a Bearer token; None: none.
        loopback_names: only by names of this machine: another site's name that leads here is another site's page.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, loopback_names: bool) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._loopback_names = loopback_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; of anything but HTTP nothing is taken."""
        if scope["type"] != "http":
            raise AssertionError(f"the dashboard speaks HTTP only, not {scope['type']}")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._answer(Headers(scope=scope))(scope, receive, send_guarded)

    def _answer(self, headers: Headers) -> ASGIApp:
        if self._loopback_names and not is_loopback(_host(headers.get("host", ""))):
            return PlainTextResponse("this page is for this machine: http://127.0.0.1\n", 421)
        if self._token is not None and not hmac.compare_digest(_shown(headers.get("authorization", "")), self._token):
            return PlainTextResponse("a token is needed: any name, the token as password\n", 401, _ASK)
        return self._app


def _host(header: str) -> str:
    """Without the port."""
    return header.partition("]")[0] + "]" if header.startswith("[") else header.partition(":")[0]


def _shown(authorization: str) -> bytes:
    """The token that a request shows; empty where it shows none."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""
