"""Content: whether it ignores pose, what of the pose it gives away, and what it knows of classes."""
