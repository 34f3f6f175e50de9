"""The driver that Flower drives: the same learners behind a ClientApp, mixed by a strategy of Flower's."""
