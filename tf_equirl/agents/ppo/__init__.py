"""PPO with the loss of tf-agents."""
