"""Measurements of speed; no test asserts on them."""
