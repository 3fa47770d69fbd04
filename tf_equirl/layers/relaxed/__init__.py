"""Layers that begin equivariant and may learn by how much not to be."""
