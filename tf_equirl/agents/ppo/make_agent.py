"""A genuine tf-agents PPO agent from Keras 3 models."""

from __future__ import annotations

import keras

from tf_equirl._checks import instance
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.agents.ppo.door import ppo_clip_agent
from tf_equirl.agents.ppo.tf_agents_ppo import clip_agent
from tf_equirl.envs import BaseEnvironment
from tf_equirl.envs.registry import environment_of
from tf_equirl.training.model_checks import of_variables


def make_ppo_agent(
    env: BaseEnvironment | str,
    config: PPOConfig | None = None,
    actor: keras.Model | None = None,
    critic: keras.Model | None = None,
) -> ppo_clip_agent.PPOClipAgent:
    """A `tf_agents.agents.PPOClipAgent` that trains the given Keras 3 models.

    Its loss is the one that `train_ppo` minimises: the clipped surrogate (equation 7 of Schulman
    et al., 2017), no KL penalty, half the clipped squared value error, the entropy bonus. The rest
    of the training loop is tf-agents' own (0.19) and differs from `train_ppo`: `agent.train` makes
    `config.num_epochs` passes over the whole batch, without minibatches, and normalises advantages
    over all of it; generalised advantage estimation bootstraps from the last but one value, and
    takes an episode that was cut off for one that ended.

    Args:
        env: The environment, or its name.
        config: Hyperparameters; the defaults if None. `learning_rate` is constant here.
        actor: Policy network `[batch, *observation_shape] -> [batch, num_actions]`; built from
            `config` if None.
        critic: Value network `[batch, *observation_shape] -> [batch, 1]`; built from `config` if
            None.

    Returns:
        An initialised agent, for `tf_equirl.envs.make_tf_agents` environments and tf-agents'
        drivers.

    Raises:
        ValueError: If a model does not fit the environment, or has regularizers, which tf-agents
            would ignore.
    """
    config = PPOConfig() if config is None else config
    instance("config", config, PPOConfig)
    env = environment_of(env)
    networks = config.networks(env, actor, critic)
    for role, network in zip(("actor", "critic"), networks, strict=True):
        if found := of_variables(network, "regularizer"):
            raise ValueError(
                f"{role} must have no regularizers: tf-agents would ignore them, train_ppo does "
                f"not. Received: {role} with {', '.join(found)}"
            )
    return clip_agent(env, config, *networks)
