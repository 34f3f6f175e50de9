"""Decentralized peer-to-peer federated fine-tuning without a server."""
