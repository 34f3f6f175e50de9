"""Models, adapters, data, training and evaluation."""
