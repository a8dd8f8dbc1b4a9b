"""Generation: reconstructions, and samples against data on the features of a frozen network."""
