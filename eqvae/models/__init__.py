"""Models: the parts wired together, from images to latents and back."""
