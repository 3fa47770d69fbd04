"""Layers that make one thing of the rows of the group: what is left is invariant or in pose."""
