"""Looking around in latent space: traversals and the explorer of the notebooks."""
