"""What the project claims about learning; minutes, so run by `make test-slow`."""

import numpy as np
import pytest

from tf_equirl import experiments
from tf_equirl.agents import PPOConfig, train_ppo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results():
    budgets = {"mlp": None, "gcnn": 4610, "odd": None}
    return {
        actor: train_ppo(
            "CartPole",
            PPOConfig(actor=actor, match_parameters=budget, total_timesteps=100_000),
            seeds=range(64),
        )
        for actor, budget in budgets.items()
    }


@pytest.mark.parametrize("timestep", [10_000, 100_000])
@pytest.mark.parametrize("actor", ["gcnn", "odd"])
def test_an_equivariant_actor_learns_from_fewer_steps(results, actor, timestep):
    gain = experiments.return_at(results[actor], timestep) - experiments.return_at(
        results["mlp"], timestep
    )
    mean, error = experiments.mean_and_error(gain)
    assert mean > error


def test_the_baseline_learns_as_the_thesis_says(results):
    # Table 4.2: 102 and 260 for the MLP; four standard errors of the difference.
    for timestep, expected in ((10_000, 102), (100_000, 260)):
        mean, error = experiments.mean_and_error(experiments.return_at(results["mlp"], timestep))
        assert abs(mean - expected) < 2 * error + 10


def test_a_long_curve_is_the_same_alone(results):
    alone = train_ppo("CartPole", PPOConfig(actor="odd", total_timesteps=100_000), seeds=[17])
    np.testing.assert_array_equal(alone.returns[0], results["odd"].returns[17])
