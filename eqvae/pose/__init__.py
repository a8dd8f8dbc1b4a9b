"""Pose by comparing images with templates: where both are compared, how likely, and how poses are found."""
