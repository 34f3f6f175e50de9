"""Where traces go: a collector that speaks OTLP over HTTP.

--traces https://collector.example.org:4318     /v1/traces is added where it is not there
--traces env                                    what OTEL_EXPORTER_OTLP_(TRACES_)ENDPOINT says
"""

from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from urllib.parse import SplitResult, urlsplit

from gossipfl.errors import ConfigError
from gossipfl.node.dashboard.site import is_loopback

FROM_ENVIRONMENT = "env"
_FULL, _BASE = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
_PATH = "/v1/traces"


def trace_target(text: str, environ: Mapping[str, str], *, insecure: bool) -> str:
    """The URL that spans are sent to.

    Args:
        text: of `--traces`.
        insecure: the network is closed: nothing has to be encrypted.

    Raises:
        ConfigError: it is no such URL, or would send in the clear what only members are told.
    """
    if text != FROM_ENVIRONMENT:
        return _checked(_with_path(text), text, insecure=insecure)
    if full := environ.get(_FULL):
        return _checked(full, f"{_FULL}={full}", insecure=insecure)
    if base := environ.get(_BASE):
        return _checked(_with_path(base), f"{_BASE}={base}", insecure=insecure)
    raise ConfigError(f"--traces env: neither {_FULL} nor {_BASE} is set")


def require_traces() -> None:
    """Raises `ConfigError` where the extra is not installed."""
    # a package without any code of its own may be there as a folder of somebody else's
    needed = ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
    try:
        missing = any(find_spec(name) is None for name in needed)
    except ModuleNotFoundError:
        missing = True
    if missing:
        raise ConfigError(
            "--traces needs OpenTelemetry's SDK and its OTLP exporter: scripts/install opentelemetry, or "
            "gossipfl[opentelemetry]"
        )


def _with_path(url: str) -> str:
    bare = url.rstrip("/")
    return bare if bare.endswith(_PATH) else bare + _PATH


def _checked(url: str, said: str, *, insecure: bool) -> str:
    where = _split(url)
    if where is None or where.scheme not in ("http", "https") or not where.hostname or where.query or where.fragment:
        # what is wrong with it may be a secret in the wrong place
        shown = said if "@" not in said else "what was given"
        raise ConfigError(f"--traces: {shown} is no http:// or https:// URL of a collector, like http://127.0.0.1:4318")
    if where.username is not None or where.password is not None:
        raise ConfigError("--traces: no name or password in the URL; OTEL_EXPORTER_OTLP_HEADERS is for that")
    if where.scheme == "http" and not (insecure or is_loopback(where.hostname)):
        raise ConfigError(
            f"--traces: {url} would say in the clear who exchanges with whom, and when: take https, a collector on "
            "this machine, or --insecure in a closed network"
        )
    return url


def _split(url: str) -> SplitResult | None:
    with suppress(ValueError):
        where = urlsplit(url)
        # a port that is none raises when it is looked at
        if where.port is None or where.port > 0:
            return where
    return None
