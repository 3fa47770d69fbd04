"""Environments of ours behind the interfaces of gymnasium and of tf-agents."""
