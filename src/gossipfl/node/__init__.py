"""The real node: asyncio, gRPC, disk and clock around the protocol core, training in a thread."""
