"""The race: what symmetry and planning are worth where every agent is tuned alike."""
