"""Soft actor-critic for many seeds at once."""
