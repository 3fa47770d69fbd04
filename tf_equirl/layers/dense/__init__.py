"""Layers that multiply by a matrix of shared weights: equivariant linear maps."""
