"""SAC in environments that are stepped on the host."""

import dataclasses

import numpy as np
import pytest
from agent_cases import Stop, assert_same
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium_cases import Slide

from tf_equirl import envs
from tf_equirl.agents import NonFiniteError, SACConfig, load_sac_result, train_sac
from tf_equirl.training.host import episode_seeds
from tf_equirl.training.run import Run

pytestmark = pytest.mark.usefixtures("without_xla")

ON_HOST = SACConfig(
    actor="mlp",
    q_function="mlp",
    hidden_units=(8, 8),
    num_environments=2,
    rollout_steps=8,
    train_every=4,
    gradient_steps=2,
    batch_size=16,
    buffer_size=1000,
    learning_starts=32,
    learning_rate=1e-2,
    tau=0.05,
    total_timesteps=16 * 6,
)
SEEDS = (4, 7, 5)  # a block of four, as all runs here: one program


def slide(**arguments):
    return envs.HostEnvironment(Slide, policy="squashed_gaussian", max_episode_steps=6, **arguments)


def remembered(folder):
    """The arrays of the replay memory in a run's checkpoint."""
    with np.load(folder / "checkpoint.npz") as saved:
        return {name: saved[name] for name in saved.files if "/buffer/" in name}


def test_what_is_kept_is_what_gymnasium_gives():
    """Rows of the memory, against the actions that were taken, made by hand."""
    env, config = slide(), dataclasses.replace(ON_HOST, total_timesteps=64)
    learner = config.learner(env)
    run = Run(learner, (3, 4, 5), None, None)
    run.train()
    buffer = run.state.states[0].buffer
    made = env.make_env()
    seeds = episode_seeds(np.array([3]), 0, 2)[0]
    seen, _ = made.reset(seed=int(seeds[1]))
    for step in range(32):  # of the second copy of the first member
        row = 2 * step + 1
        np.testing.assert_array_equal(buffer.state.observation[0, row], seen)
        executed = env.action_distribution.executed(buffer.action[0, row : row + 1])
        given = env.given(executed.numpy())[0]
        seen, reward, _, truncated, _ = made.step(given)
        np.testing.assert_array_equal(buffer.state.following[0, row], seen)
        assert float(buffer.reward[0, row]) == np.float32(reward)
        assert bool(buffer.truncated[0, row]) == truncated and bool(buffer.valid[0, row])
        if truncated:
            seen, _ = made.reset()
    # The copy that fills the block has what the member has.
    for column in (buffer.action, buffer.reward, buffer.state.observation):
        np.testing.assert_array_equal(column[0, :64], column[3, :64])
    learner.close()


def test_it_learns_the_same_whatever_the_split_and_goes_on_with_new_episodes(tmp_path):
    whole = train_sac(slide(), ON_HOST, SEEDS, tmp_path / "whole")
    assert whole.finished and whole.returns.shape == (3, 48)
    assert np.isfinite(whole.metrics["critic_loss"][:, 2:]).all()
    assert_same(train_sac(slide(), ON_HOST, SEEDS), whole)
    others = train_sac(slide(), ON_HOST, [7, 1, 2])
    np.testing.assert_allclose(others.returns[0], whole.returns[1], rtol=1e-4)
    for folder in ("one", "other"):
        with pytest.raises(KeyboardInterrupt):
            train_sac(slide(), ON_HOST, SEEDS, tmp_path / folder, on_progress=Stop(3))
    before = remembered(tmp_path / "one")
    resumed = [
        train_sac(slide(), ON_HOST, SEEDS, tmp_path / folder, resume=True)
        for folder in ("one", "other")
    ]
    np.testing.assert_array_equal(resumed[0].returns[:, :24], whole.returns[:, :24])
    assert_same(*resumed)
    for name, rows in before.items():  # of three updates, which later ones do not replace
        np.testing.assert_array_equal(remembered(tmp_path / "one")[name][:, :48], rows[:, :48])
    assert all(before[f"state/0/buffer/{name}"][:, :4].all() for name in ("reward", "valid"))
    assert not np.array_equal(resumed[0].returns, whole.returns)
    loaded = load_sac_result(tmp_path / "whole", slide())
    assert_same(loaded, whole)


def test_resets_in_the_place_of_steps_are_learned_from_by_nobody():
    def next_step(number):
        makers = [slide().make_env] * number
        return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.NEXT_STEP)

    result = train_sac(slide(vectorization=next_step), ON_HOST, SEEDS)
    assert np.isfinite(result.metrics["critic_loss"][:, 2:]).all()
    learner = ON_HOST.learner(slide(vectorization=next_step))
    run = Run(learner, SEEDS, None, None)
    run.train()
    valid = run.state.states[0].buffer.valid[0, :96].numpy()
    assert 0 < (~valid).sum() < 20  # one after each six steps


def test_several_configs_and_evaluations():
    other = dataclasses.replace(ON_HOST, tau=0.5, initial_temperature=0.1)
    results = train_sac(slide(), [ON_HOST, other], [4, 7], evaluate_every=3, evaluation_episodes=2)
    assert [r.evaluations.returns.shape for r in results] == [(2, 2)] * 2
    np.testing.assert_allclose(
        [r.metrics["temperature"][0, 0] for r in results], [1.0, 0.1], rtol=0.2
    )


def test_numbers_that_are_not_finite_are_laid_at_the_environments_door():
    class Wrong(Slide):
        total = 0

        def step(self, action):
            *rest, reward, terminated, truncated, info = super().step(action)
            self.total += 1
            reward = np.nan if self.total > 30 else reward
            return *rest, reward, terminated, truncated, info

    env = envs.HostEnvironment(Wrong, policy="squashed_gaussian", max_episode_steps=6, name="Wrong")
    with (
        pytest.warns(RuntimeWarning, match="a reward of the environment Wrong"),
        pytest.raises(NonFiniteError, match="so it has to be mended there"),
    ):
        train_sac(env, ON_HOST, SEEDS)
