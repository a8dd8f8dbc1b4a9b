"""Claims about equivariance, each measured: a part that obeys, a control that must not, and a verdict."""
