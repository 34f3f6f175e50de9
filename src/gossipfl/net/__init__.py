"""gRPC, TLS and the wire format."""

import os

# gRPC's core prints each failed TLS handshake to stderr; ours are logged as events, counted and named
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
