"""Clustering: agreement of clusters with classes, and clusters found in content."""
