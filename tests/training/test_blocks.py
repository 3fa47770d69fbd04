"""Runs of one and two seeds are computed as they are; what is part of a larger run, as in it."""

import numpy as np
import pytest
from training_cases import Stop, assert_same

from tf_equirl.agents import PPOConfig, load_result, train_ppo
from tf_equirl.training import blocks, run

CONFIG = PPOConfig(
    actor="mlp", hidden_units=(4,), rollout_steps=16, num_environments=2, total_timesteps=96
)


@pytest.mark.parametrize(
    ("count", "of", "sizes"),
    [
        (1, None, [1]),
        (2, None, [2]),
        (1, 2, [1]),
        (1, 3, [4]),
        (2, 40, [4]),
        (3, None, [4]),
        (5, None, [8]),
        (33, None, [32, 4]),
        (70, None, [32, 32, 8]),
    ],
)
def test_blocks_and_what_fills_them_up(count, of, sizes):
    made = blocks.blocks_of(range(count), of)
    assert [len(block) for block in made] == sizes
    flat = [member for block in made for member in block]
    assert flat[:count] == list(range(count))
    assert set(flat[count:]) <= {made[-1][0]}


@pytest.mark.thorough
@pytest.mark.parametrize("seeds", [[3], [3, 4]])
def test_few_seeds_give_the_same_numbers_again_and_after_an_interruption(seeds, tmp_path):
    whole = train_ppo("Catch", CONFIG, seeds)
    assert_same(train_ppo("Catch", CONFIG, seeds), whole)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_ppo("Catch", CONFIG, seeds, folder, on_progress=Stop(1))
    assert_same(train_ppo("Catch", CONFIG, seeds, folder, resume=True), whole)
    # They differ from those of the same seeds among others by rounding alone.
    many = train_ppo("Catch", CONFIG, [9, *seeds, 1])  # a block of four
    for role, arrays in whole.weights.items():
        for few, among in zip(arrays, many.weights[role], strict=True):
            np.testing.assert_allclose(few, among[1 : 1 + len(seeds)], atol=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize("seeds", [[3], [3, 4]])
def test_a_checkpoint_in_which_few_seeds_are_four_goes_on_so(seeds, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def as_once(members, of=None):
        return blocks.blocks_of(members, max(3, of or len(members)))

    with monkeypatch.context() as patch:
        patch.setattr(run, "blocks_of", as_once)
        whole = train_ppo("Catch", CONFIG, seeds)
        with pytest.raises(KeyboardInterrupt):
            train_ppo("Catch", CONFIG, seeds, folder, on_progress=Stop(1))
    with np.load(folder / "checkpoint.npz") as checkpoint:
        assert len(checkpoint["state/0/seeds"]) == 4
    assert_same(train_ppo("Catch", CONFIG, seeds, folder, resume=True), whole)


def test_seeds_that_are_added_are_computed_as_in_the_whole_run(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_ppo("Catch", CONFIG, [3, 4, 5], folder, on_progress=Stop(1))
    more = train_ppo("Catch", CONFIG, [3, 4, 5, 6], folder, resume=True)
    assert_same(more, train_ppo("Catch", CONFIG, [3, 4, 5, 6]))


def test_one_seed_is_given_others_and_keeps_its_numbers(tmp_path):
    folder = tmp_path / "run"
    alone = train_ppo("Catch", CONFIG, [3], folder)
    more = train_ppo("Catch", CONFIG, [3, 4, 5], folder, resume=True)
    np.testing.assert_array_equal(more.returns[0], alone.returns[0])
    others = train_ppo("Catch", CONFIG, [7, 4, 5])
    np.testing.assert_array_equal(more.returns[1:], others.returns[1:])
    assert load_result(folder).seeds == (3, 4, 5)
