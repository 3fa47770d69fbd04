"""DrQ-v2, continuous control from pictures, for many seeds at once."""
