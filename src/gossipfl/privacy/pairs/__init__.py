"""Noise that neighbors share: each adds what the other takes away (DECOR, arXiv 2405.01031)."""
