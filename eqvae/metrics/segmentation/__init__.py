"""Segmentation: how far two masks of an object overlap."""
