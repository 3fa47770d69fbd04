"""What the tests of agents train: one config, one environment and blocks of 8, for few programs."""

import dataclasses

import numpy as np

from tf_equirl.agents import PPOConfig

# Widths and batches that fill no vector register.
SMALL = PPOConfig(
    actor="gcnn",
    critic="invariant",
    hidden_units=(7, 5),
    num_environments=4,
    rollout_steps=15,
    num_minibatches=3,
    num_epochs=2,
    total_timesteps=60 * 12,
)
SEEDS = (5, 0, 3, 9, 2)
# On images of its data, and consistent: all that may be added to an MLP. Trained 16 at once.
AUGMENTED = dataclasses.replace(
    SMALL, actor="mlp", critic="mlp", augmentation="orbit", consistency_coefficient=0.1
)


def assert_same(a, b):
    """Whether two results are equal to the last bit."""
    np.testing.assert_array_equal(a.returns, b.returns)
    np.testing.assert_array_equal(a.first_returns, b.first_returns)
    assert set(a.metrics) == set(b.metrics) and set(a.weights) == set(b.weights)
    for name, values in a.metrics.items():
        np.testing.assert_array_equal(values, b.metrics[name])
    for role, weights in a.weights.items():
        for x, y in zip(weights, b.weights[role], strict=True):
            np.testing.assert_array_equal(x, y)


class Stop:
    """Interrupts a run as Ctrl-C does, once it has made some updates."""

    def __init__(self, after):
        self.after = after

    def __call__(self, progress):
        if progress.updates >= self.after:
            raise KeyboardInterrupt
