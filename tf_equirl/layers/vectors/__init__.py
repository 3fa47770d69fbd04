"""Layers that treat a vector as a whole: its scale, or one that the input does not change."""
