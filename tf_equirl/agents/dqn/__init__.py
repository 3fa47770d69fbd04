"""Double DQN for many seeds at once."""
