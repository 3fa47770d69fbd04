"""`train_ppo`: agents of many seeds, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import keras

from tf_equirl import envs, zoo
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.agents.ppo.learner import PopulationProgram
from tf_equirl.agents.ppo.ppo_runs import PPO_RUN, describe_run
from tf_equirl.agents.ppo.tf_agents_ppo import make_models
from tf_equirl.training.blocks import blocks_of, check_seeds
from tf_equirl.training.progress import Progress
from tf_equirl.training.result import TrainingResult
from tf_equirl.training.run import PPORun
from tf_equirl.training.run_folder import RunFolder


def train_ppo(
    env: envs.Environment | str,
    config: PPOConfig | None = None,
    seeds: Iterable[int] = range(128),
    run_dir: str | os.PathLike | None = None,
    *,
    actor: keras.Model | None = None,
    critic: keras.Model | None = None,
    start_from: str | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Trains one PPO agent per seed, up to 32 of them side by side in one compiled program.

    PPO is Schulman et al. (2017) with tf-agents' loss. A seed's curve does not depend on the other
    seeds (with sampled Symmetrizer bases rounding depends on how many there are), and is the same
    at every run on the same machine and package versions.

    Args:
      env: the environment, or its name.
      config: hyperparameters; the defaults if None.
      seeds: distinct integers from 0 to 2**31 - 1.
      run_dir: folder for configuration, checkpoints, results and TensorBoard events; None keeps
        everything in memory.
      actor: policy network to train instead of the one that `config` describes. It serves as the
        architecture: every seed starts from fresh weights of its own.
      critic: value network to train instead, likewise.
      start_from: name of a model in the zoo (`tf_equirl.zoo.list()`), whose actor and critic every
        seed goes on from, with a new optimiser. `config` then says nothing about the networks.
      resume: go on with the run in `run_dir`; the outcome is the one of an uninterrupted run.
      on_progress: called with a `Progress` about once a second.

    Returns:
      Learning curves and weights of all seeds.

    Raises:
      ValueError: before any work, if an argument breaks its rule, a model does not fit the
        environment, or `run_dir` holds another run or a damaged one.
      NonFiniteError: if a seed's numbers become infinite or NaN; what was computed is kept.
      KeyboardInterrupt: on Ctrl-C, after a checkpoint was written.
    """
    env = envs.make(env)
    config = config or PPOConfig()
    if type(config) is not PPOConfig:  # a DynaConfig asks for more than this function does
        raise ValueError(f"config must be a PPOConfig. Received: config={config!r}")
    seeds = check_seeds(seeds)
    if start_from is not None:
        if actor is not None or critic is not None:
            raise ValueError(
                "start_from brings its own networks: give it or actor and critic, not both. "
                f"Received: start_from={start_from!r}, actor={actor!r}, critic={critic!r}"
            )
        entry = zoo.load(start_from, must_be=zoo.POLICY.text)
        actor, critic = entry.actor, entry.critic
    actor, critic = make_models(env, config, actor, critic)
    folder = None if run_dir is None else RunFolder(run_dir, PPO_RUN)
    if folder is None and resume:
        raise ValueError("resume=True needs the run's folder. Received: run_dir=None")
    if folder is not None:
        folder.open(describe_run(env, config, seeds, actor, critic, start_from), resume)
    program = PopulationProgram(env, config, actor, critic)
    carries = [program.start(block, fresh=start_from is None) for block in blocks_of(seeds)]
    run = PPORun(program, seeds, carries, folder, on_progress)
    run.restore()
    return run.train()
