"""Results of runs that were made before, from their folders."""

from __future__ import annotations

import json
import os
from pathlib import Path

import keras
import numpy as np

from tf_equirl import envs
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.agents.ppo.ppo_runs import PPO_RUN, read_description
from tf_equirl.agents.ppo.train import train_ppo
from tf_equirl.training.result import TrainingResult
from tf_equirl.training.run_folder import RunFolder


def load_result(run_dir: str | os.PathLike, env: envs.Environment | None = None) -> TrainingResult:
    """The result of a finished run, curves and trained models, from its folder.

    Args:
      run_dir: folder that `train_ppo` wrote.
      env: the environment, where its registered name alone does not make it, because it was made
        with arguments of its own.

    Raises:
      ValueError: if the folder holds no run or an unfinished one, is damaged, or the environment is
        another one than the run's.
    """
    description = read_description(Path(run_dir))
    config = PPOConfig.from_json(description["config"])
    arrays = RunFolder(run_dir, PPO_RUN).load_checkpoint()
    done = 0 if arrays is None else int(np.asarray(arrays.get("updates", 0)))
    if done < config.num_updates:
        raise ValueError(
            f"run_dir must hold a finished run; resume it first. Received: run_dir={run_dir}, with "
            f"{done} of {config.num_updates} updates made"
        )
    name = description["start_from"]
    networks = {}
    if name is None:
        for role in ("actor", "critic"):
            networks[role] = keras.models.model_from_json(json.dumps(description["models"][role]))
    return train_ppo(
        description["environment"] if env is None else env,
        config,
        description["seeds"],
        run_dir,
        **networks,
        start_from=name,
        resume=True,
    )
