"""Layers for pictures, on which a group acts by turns and mirrors."""
