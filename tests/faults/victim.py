"""A run that is killed, started again, killed again: `python victim.py KIND FOLDER OUTCOME`.

It is begun in FOLDER, or resumed where FOLDER holds it. What it came to goes to OUTCOME.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_equirl import dyna, dynamics, envs
from tf_equirl.agents import PPOConfig, train_ppo
from tf_equirl.dynamics import TransitionModelConfig, Transitions
from tf_equirl.training import run


def ppo(**options):
    config = PPOConfig(actor="gcnn", total_timesteps=512 * 150, learning_rate=1e-3)
    result = train_ppo("CartPole", config, range(6), **options)
    return {"returns": result.returns, **result.metrics}, result.weights


def fit(**options):
    rows, random = 4_000, np.random.default_rng(0)
    env = envs.make("CartPole")
    states = tf.constant(random.uniform(-0.1, 0.1, [2, rows, 4]), tf.float32)
    data = Transitions.from_arrays(
        env,
        env.state_from_observation(states[0]),
        random.integers(0, 2, rows),
        env.state_from_observation(states[1]),
    )
    config = TransitionModelConfig(kind="gcnn-readout", num_epochs=25, batch_size=32)
    result = dynamics.fit_transition_model("CartPole", data, config, range(4), **options)
    return {"loss": result.loss}, result.weights


def planning(**options):
    config = dyna.DynaConfig(
        agent=PPOConfig(actor="mlp", total_timesteps=512 * 30),
        model=TransitionModelConfig(kind="mlp"),
        dyna_iterations=10,
    )
    result = dyna.train_dyna("CartPole", config, range(4), **options)
    return {"returns": result.returns, "planned": result.planned_updates}, result.weights


KINDS = {"train_ppo": ppo, "fit_transition_model": fit, "train_dyna": planning}


def main(kind, folder, outcome):
    run._SECONDS_BETWEEN_CHECKPOINTS = 0.05  # so that many kills strike one
    run._SHARE_OF_CHECKPOINTS = 0.5

    def tell(progress):
        if progress.compile_seconds:
            print("trains", flush=True)

    resume = (Path(folder) / "run.json").exists()
    curves, weights = KINDS[kind](run_dir=folder, resume=resume, on_progress=tell)
    arrays = {f"{role}/{i}": w for role, of_role in weights.items() for i, w in enumerate(of_role)}
    np.savez(outcome, **curves, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
