"""Everything measured of a trained model on held-out images, suite by suite, and one page about it."""
