"""What a node's exchanges look like in OpenTelemetry: one trace a publication, over all nodes that it reaches."""
