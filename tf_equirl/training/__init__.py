"""Training of many members at once, whatever the algorithm; no tf-agents."""
