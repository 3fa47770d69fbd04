"""A run that is made longer or given more seeds equals one that was so from its beginning."""

import contextlib
import dataclasses
import json
import shutil

import numpy as np
import pytest
from training_cases import Stop, Walk, assert_same

from tf_equirl.agents import NonFiniteError, PPOConfig, load_result, train_ppo
from tf_equirl.training import train

CONFIG = PPOConfig(
    actor="mlp", hidden_units=(4,), rollout_steps=16, num_environments=2, total_timesteps=96
)
LONGER = dataclasses.replace(CONFIG, total_timesteps=224)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("more") / "run"
    return folder, train_ppo("Catch", CONFIG, [3, 4, 8], folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What was so from its beginning."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return train_ppo("Catch", LONGER, [3, 9, 4, 7, 8], folder)


def copied(short, tmp_path):
    return shutil.copytree(short[0], tmp_path / "run")


def of_seeds(result, seeds):
    rows = [result.seeds.index(seed) for seed in seeds]
    return dataclasses.replace(
        result,
        seeds=tuple(seeds),
        returns=result.returns[rows],
        first_returns=result.first_returns[rows],
        metrics={name: values[rows] for name, values in result.metrics.items()},
        weights={role: [w[rows] for w in arrays] for role, arrays in result.weights.items()},
    )


def test_a_finished_run_is_made_longer(short, whole, tmp_path):
    folder = copied(short, tmp_path)
    longer = train_ppo("Catch", LONGER, [3, 4, 8], folder, resume=True)
    assert_same(longer, of_seeds(whole, [3, 4, 8]))
    assert_same(load_result(folder), longer)
    description = json.loads((folder / "run.json").read_text())
    assert description["config"]["total_timesteps"] == 224
    # It is a run as any other now.
    assert_same(train_ppo("Catch", LONGER, [3, 4, 8], folder, resume=True), longer)
    with pytest.raises(ValueError, match="total_timesteps must be at least that of the run"):
        train_ppo("Catch", CONFIG, [3, 4, 8], folder, resume=True)


def test_seeds_are_added_and_those_before_stay_as_they_are(short, whole, tmp_path):
    folder, before = copied(short, tmp_path), short[1]
    more = train_ppo("Catch", CONFIG, [4, 7, 3, 8], folder, resume=True)
    assert_same(of_seeds(more, [3, 4, 8]), before)
    new = of_seeds(train_ppo("Catch", CONFIG, [7, 1, 2]), [7])
    assert_same(of_seeds(more, [7]), new)
    assert_same(load_result(folder), more)
    assert not (folder / "more_seeds").exists()
    with pytest.raises(ValueError, match="differs in seeds"):
        train_ppo("Catch", CONFIG, [3, 4, 8], folder, resume=True)


def test_both_at_once_and_interrupted(short, whole, tmp_path):
    folder, seeds = copied(short, tmp_path), [3, 9, 4, 7, 8]
    with pytest.raises(KeyboardInterrupt):  # while the new seeds catch up
        train_ppo("Catch", LONGER, seeds, folder, resume=True, on_progress=Stop(0))
    assert (folder / "more_seeds").exists()
    between = load_result(folder)
    assert_same(dataclasses.replace(between, config=CONFIG), short[1])
    with pytest.raises(KeyboardInterrupt):  # while all go on
        train_ppo("Catch", LONGER, seeds, folder, resume=True, on_progress=Stop(4))
    assert_same(train_ppo("Catch", LONGER, seeds, folder, resume=True), whole)


def test_a_run_that_depends_on_its_length_is_not_made_longer(tmp_path):
    annealed = dataclasses.replace(CONFIG, anneal_learning_rate=True)
    longer = dataclasses.replace(LONGER, anneal_learning_rate=True)
    result = train_ppo("Catch", annealed, [3], tmp_path / "run")
    with pytest.raises(ValueError, match="nothing depends on its length, as anneal_learning_rate"):
        train_ppo("Catch", longer, [3], tmp_path / "run", resume=True)
    more = train_ppo("Catch", annealed, [3, 5], tmp_path / "run", resume=True)
    assert_same(of_seeds(more, [3]), result)


def test_other_differences_are_still_refused(short, tmp_path):
    folder = copied(short, tmp_path)
    before = (folder / "run.json").read_text()
    other = dataclasses.replace(LONGER, discount=0.5)
    with pytest.raises(ValueError, match="differs in .*discount"):
        train_ppo("Catch", other, [3, 4, 5], folder, resume=True)
    with pytest.raises(ValueError, match="differs in .*total_timesteps"):
        train_ppo("Catch", LONGER, [3, 4], folder)  # not resumed
    assert (folder / "run.json").read_text() == before


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [([1, 50], [60, 2, 1, 50], (50, 60)), ([1], [1, 60], (60,)), ([60], [1, 60], (60,))],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_seeds_that_are_lost_are_told(before, after, lost, tmp_path):
    with contextlib.suppress(NonFiniteError):
        train(Walk(explodes=50), before, tmp_path / "run")
    with pytest.raises(NonFiniteError) as found:
        train(Walk(explodes=50), after, tmp_path / "run", resume=True)
    with pytest.raises(NonFiniteError) as whole:
        train(Walk(explodes=50), after)
    assert sorted(found.value.seeds) == sorted(whole.value.seeds) == sorted(lost)
    weights = [error.value.result.weights["network"] for error in (found, whole)]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
