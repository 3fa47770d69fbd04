"""Tasks of the DeepMind Control Suite: equal to dm_control's, step for step."""

from __future__ import annotations

from pathlib import Path

import control_reference as reference
import numpy as np
import pytest
import tensorflow as tf
from compiling import uncompiled

from tf_equirl import agents, dynamics, envs, evaluation
from tf_equirl.envs.control import acrobot, cartpole_swingup

NAMES = tuple(reference.TASKS)
GOLDEN = Path(__file__).parent / "golden" / "control.npz"
# Of one step, relative to the largest number of a state; float32 has seven times the largest that
# was seen in 10,000 steps, of the wrist's spin at its stop.
TOLERANCES = {"float64": 1e-13, "float32": 6e-6}

each_task = pytest.mark.parametrize("name", NAMES)
each_type = pytest.mark.parametrize("dtype", TOLERANCES)


def needs_dm_control():
    pytest.importorskip("dm_control", reason="needs dm-control and mujoco<4")


def state_of(env, states, targets):
    """A state of ours from dm_control's numbers."""
    state = env.reset([0, 0], [len(states)])
    state = state._replace(physics=tf.constant(states, env.dtype))
    if env.name == "Reacher":
        state = state._replace(target=tf.constant(targets, env.dtype))
    return state


def in_our_order(name, observations, states):
    """Observations of dm_control's as ours: all but the angle of the reacher's shoulder."""
    if name != "Reacher":
        return observations
    shoulder = states[:, :1]
    return np.hstack([np.cos(shoulder), np.sin(shoulder), observations[:, 1:]])


def compare(env, inputs, expected):
    """One step from each state, against next states, rewards and observations."""
    states, targets, actions = inputs
    next_states, rewards, observations = expected
    following, reward, terminated = env.transition(
        state_of(env, states, targets),
        tf.constant(actions, tf.float32),
        tf.zeros([len(states), env.num_uniforms]),
    )
    near = TOLERANCES[env.dtype.name]
    scale = np.abs(reference.SCALES[env.name])
    np.testing.assert_allclose(following.physics / scale, next_states / scale, atol=near, rtol=0)
    np.testing.assert_allclose(
        env.observe(following),
        in_our_order(env.name, observations, next_states),
        rtol=max(near, 1e-6),
        atol=20 * max(near, 1e-6),
    )
    if env.name == "Reacher":  # 0 or 1
        np.testing.assert_array_equal(reward, rewards)
    else:
        np.testing.assert_allclose(reward, rewards, atol=1e-6, rtol=1e-6)
    assert not terminated.numpy().any()


@each_type
@each_task
def test_steps_equal_stored_ones_of_dm_control(name, dtype):
    """200 steps, at and beyond the stops of cart and wrist as well."""
    with np.load(GOLDEN) as stored:
        part = {key.partition("/")[2]: stored[key] for key in stored if key.startswith(f"{name}/")}
    inputs = tuple(part[key] for key in ("states", "targets", "actions"))
    expected = tuple(part[key] for key in ("next_states", "rewards", "observations"))
    if name != "Acrobot":
        bound, column = (1.8, 0) if name == "CartPoleSwingup" else (np.radians(160), 1)
        assert np.sum(np.abs(inputs[0][:, column]) > bound) > 5
    if name == "Reacher":
        assert expected[1].sum() > 0
    compare(envs.make(name, dtype=dtype), inputs, expected)


@each_type
@each_task
def test_steps_equal_those_of_dm_control(name, dtype):
    needs_dm_control()
    inputs = reference.inputs(name, 500, seed=1)
    compare(envs.make(name, dtype=dtype), inputs, reference.steps(name, *inputs))


@each_type
@pytest.mark.parametrize("kappa", [1.0, 2.5])
@pytest.mark.parametrize("name", ["CartPoleSwingup", "Acrobot"])
def test_tilted_gravity_equals_that_of_dm_control(name, kappa, dtype):
    needs_dm_control()
    inputs = reference.inputs(name, 300, seed=2)
    tilt = {"CartPoleSwingup": 0.2, "Acrobot": -2.0}[name]
    expected = reference.steps(name, *inputs, gravity=kappa * tilt)
    compare(envs.make(name, breaking="gravity", kappa=kappa, dtype=dtype), inputs, expected)


@each_task
def test_episodes_equal_those_of_dm_control(name):
    """1,000 random actions in float64: rounding grew to 6e-6 at most in twenty episodes."""
    needs_dm_control()
    env = envs.make(name, dtype="float64")
    step = tf.function(env.transition, autograph=False)
    state = env.reset([1, 5])
    start = state.physics.numpy()
    target = state.target.numpy() if name == "Reacher" else None
    shape = [env.max_episode_steps, *env.action_distribution.action_shape]
    actions = np.random.default_rng(4).uniform(-1, 1, shape).astype(np.float32)
    states, rewards, _, last = reference.episode(name, start, target, actions.astype(np.float64))
    assert last.last() and last.discount == 1.0  # truncated, at the same step
    ours, ours_rewards = [], []
    for action in actions:
        state, reward, _ = step(state, tf.constant(action), tf.zeros([env.num_uniforms]))
        ours.append(state.physics.numpy())
        ours_rewards.append(float(reward))
    np.testing.assert_allclose(ours, states, atol=1e-4)
    assert sum(ours_rewards) == pytest.approx(rewards.sum(), abs=1e-3)


@each_task
def test_starts_are_drawn_as_those_of_dm_control(name):
    """Kolmogorov's and Smirnov's test of each number, at an error rate of 0.1 % each."""
    needs_dm_control()
    from scipy.stats import ks_2samp

    task, rows = reference.load(name, seed=5), []
    for _ in range(1_000):
        step = task.reset()
        physics = task.physics
        row = [*physics.data.qpos, *physics.data.qvel]
        rows.append(row + (list(step.observation["to_target"]) if name == "Reacher" else []))
    theirs = np.array(rows)
    env = envs.make(name)
    state = env.reset([5, 6], [1_000])
    ours = state.physics.numpy()
    if name == "Reacher":
        ours = np.hstack([ours, env.observe(state).numpy()[:, 3:5]])
    for one, other in zip(ours.T, theirs.T, strict=True):
        assert ks_2samp(one, other).pvalue > 1e-3


def test_starts():
    """By their definition, where dm_control is not installed."""
    physics = envs.CartPoleSwingup().reset([3, 4], [10_000]).physics.numpy() / 0.01
    physics[:, 1] -= np.pi / 0.01
    # Standard errors of 10,000 normal numbers are 0.01 and 0.007.
    np.testing.assert_allclose(physics.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(physics.std(axis=0), 1, atol=0.035)
    np.testing.assert_allclose(np.corrcoef(physics.T), np.eye(4), atol=0.05)
    state = envs.Reacher().reset([3, 4], [10_000])
    radius = np.linalg.norm(state.target, axis=1)
    assert 0.05 <= radius.min() < 0.051 and 0.199 < radius.max() <= 0.2001
    angles = np.abs(state.physics.numpy()).max(axis=0)
    np.testing.assert_allclose(angles, [np.pi, np.radians(160), 0, 0], rtol=1e-3)
    angles = envs.Acrobot().reset([3, 4], [10_000]).physics.numpy()
    np.testing.assert_allclose(np.abs(angles).max(axis=0), [np.pi, np.pi, 0, 0], rtol=1e-3)


def test_numbers_drawn_at_the_ends_are_finite():
    for name in NAMES:
        env = envs.make(name)
        for number in (0.0, 1 - 2.0**-53):  # which is 1 in float32
            state = env.initial_state(tf.fill([env.num_uniforms], tf.constant(number, tf.float64)))
            assert np.isfinite(state.physics).all()


def test_constants_are_those_of_the_models():
    """Moments of inertia as MuJoCo compiles them from dm_control's files."""
    assert cartpole_swingup.POLE.moment == pytest.approx(0.00942459, rel=1e-6)
    assert acrobot.UPPER.moment == pytest.approx(0.09557031, rel=1e-6)
    assert acrobot.LOWER.moment == pytest.approx(0.09530366, rel=1e-6)


@each_task
def test_energy_of_a_still_arm_upright_and_hanging(name):
    """Equilibria stay: no force moves what stands or hangs straight and still."""
    if name == "Reacher":
        return
    env = envs.make(name, dtype="float64")
    for angle in (0.0, np.pi):
        place = [0.0, angle, 0.0, 0.0] if name == "CartPoleSwingup" else [angle, 0.0, 0.0, 0.0]
        state = state_of(env, [place], None)
        following, _, _ = env.transition(state, tf.zeros([1, 1]), tf.zeros([1, env.num_uniforms]))
        np.testing.assert_allclose(following.physics, state.physics, atol=1e-12)


@each_task
def test_a_compiled_program_steps_as_it_does_eagerly(name):
    env = envs.make(name, breaking="repeat", kappa=0.5)
    state = env.reset([1, 2], [3, 4])
    action = tf.random.stateless_uniform([3, 4, *env.action_distribution.action_shape], [1, 2])
    uniforms = env.draw_uniforms([3, 4], [3, 4])
    eager = env.step_with_uniforms(state, action, uniforms)
    compiled = tf.function(env.step_with_uniforms, autograph=False, jit_compile=True)
    mapped = tf.vectorized_map(
        lambda arguments: env.step_with_uniforms(*arguments),
        (state, action, uniforms),
        fallback_to_while_loop=False,
    )
    for other in (compiled(state, action, uniforms), mapped):
        for x, y in zip(tf.nest.flatten(eager), tf.nest.flatten(other), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


@each_task
def test_states_are_set_from_observations(name):
    env = envs.make(name, dtype="float64")
    inputs = reference.inputs(name, 100, seed=6)
    observation = env.observe(state_of(env, *inputs[:2]))
    again = env.observe(env.state_from_observation(observation))
    np.testing.assert_allclose(again, observation, atol=1e-6)


@each_task
def test_every_element_is_a_symmetry_wherever_the_arm_is(name):
    """Also fast, and beyond the stops, where random actions seldom lead."""
    env = envs.make(name)
    states, targets, _ = reference.inputs(name, 500, seed=7)
    observations = env.observe(state_of(env, states, targets)).numpy()
    report = envs.check_symmetry(env, states=observations)
    assert len(report.next_state) == (4 if name == "Reacher" else 2)
    # The mirror costs no rounding; a half turn that of angles, times what a stop makes of it.
    assert report.worst < (5e-5 if name == "Reacher" else 1e-9)
    assert report.verdict == "exact"


def test_a_gain_leaves_the_half_turn_of_the_reacher():
    env = envs.make("Reacher", breaking="gain", kappa=1.0)
    report = envs.check_symmetry(env)
    assert report.next_state[1] < 1e-5 < 1e-2 < min(report.next_state[2:])


def test_every_step_counts_and_no_episode_terminates():
    env = envs.make("Acrobot", max_episode_steps=3)
    state = env.reset([0, 1], [2])
    for step in range(1, 4):
        state, _, _, terminated, truncated = env.step(state, tf.zeros([2, 1]), [0, step])
        assert not terminated.numpy().any()
        assert truncated.numpy().all() == (step == 3)
    assert state.steps.numpy().tolist() == [0, 0]


@each_task
def test_actions_outside_of_the_box_are_cut_off(name):
    env = envs.make(name)
    state = env.reset([0, 1], [4])
    size = env.action_distribution.action_shape[0]
    uniforms = tf.zeros([4, env.num_uniforms])
    far, near = (env.transition(state, x * tf.ones([4, size]), uniforms) for x in (3.0, 1.0))
    np.testing.assert_array_equal(far[0].physics, near[0].physics)
    np.testing.assert_array_equal(far[1], near[1])


@pytest.mark.parametrize(
    ("action", "rule"),
    [([[0.5, 0.5]], "shape"), (0.5, "shape"), ([float("nan")], "finite"), ([True], "finite")],
)
def test_wrong_actions(action, rule):
    env = envs.make("Acrobot")
    state = env.reset([0, 0])
    with pytest.raises(ValueError, match=f"`action` .*{rule}.*Received: action="):
        env.validate_actions(action, ())
    with pytest.raises(ValueError, match="`action` .*Received: action="):
        env.step(state, action, [0, 0])


@pytest.mark.parametrize(("dtype", "shape"), [(tf.int32, [3, 1]), (tf.float32, [3])])
def test_wrong_actions_while_tracing(dtype, shape):
    env = envs.make("Acrobot")
    step = tf.function(env.step_with_uniforms, autograph=False)
    with pytest.raises(ValueError, match="`action` must hold floating-point numbers"):
        step(env.reset([0, 0], [3]), tf.zeros(shape, dtype), tf.zeros([3, 2]))


@each_task
def test_frames_of_mirrored_states_are_mirrored(name):
    env = envs.make(name)
    states, targets, _ = reference.inputs(name, 1, seed=8)
    state = tf.nest.map_structure(lambda x: x[0], state_of(env, states, targets))
    sign = tf.constant([1.0, -1.0]) if name == "Reacher" else None
    mirrored = state._replace(physics=-state.physics)
    if sign is not None:
        mirrored = mirrored._replace(target=state.target * sign)
    frame, other = (env.render(x, "rgb_array") for x in (state, mirrored))
    axis = 0 if name == "Reacher" else 1
    np.testing.assert_allclose(np.flip(other, axis).astype(int), frame.astype(int), atol=40)
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 5


@pytest.fixture(scope="module")
def trained():
    """A short run of PPO for two seeds."""
    config = agents.PPOConfig(
        actor="gcnn", critic="invariant", total_timesteps=512, num_environments=2, rollout_steps=128
    )
    env = envs.make("CartPoleSwingup", max_episode_steps=64)
    with uncompiled():
        return env, agents.train_ppo(env, config, seeds=range(2))


@pytest.mark.thorough
def test_ppo_trains_a_policy_that_is_equivariant(trained):
    env, result = trained
    assert np.isfinite(result.returns[:, -1]).all()
    error = evaluation.model_equivariance_error(result.actor(0), env, states=100)
    assert error.max < 1e-5


@uncompiled()
def test_policies_are_evaluated(trained):
    env, result = trained
    report = evaluation.evaluate(result.actor(0), env, episodes=4)
    assert 0 < report.mean < 64


@pytest.mark.slow
def test_ppo_swings_the_pole_up():
    """Measured: 257, 833, 691 and 857 after 600,000 steps; random actions give 22."""
    config = agents.PPOConfig(
        actor="gcnn",
        critic="invariant",
        total_timesteps=600_000,
        num_environments=8,
        rollout_steps=250,
        num_minibatches=8,
        learning_rate=1e-3,
        anneal_learning_rate=True,
        entropy_coefficient=0.0,
        normalize_observations=True,
        normalize_rewards=True,
    )
    result = agents.train_ppo("CartPoleSwingup", config, seeds=range(4))
    assert np.median(result.returns[:, -1]) > 500


def test_squashed_actions():
    env = envs.make("Reacher", policy="squashed_gaussian")
    distribution = env.action_distribution
    executed = distribution.executed(tf.constant([[9.0, -9.0]])).numpy()
    np.testing.assert_allclose(executed, [[1, -1]], atol=1e-6)
    assert env.program_key() != envs.make("Reacher").program_key()


@pytest.mark.parametrize(
    "arguments",
    [
        {"breaking": "wind"},
        {"kappa": -1.0},
        {"dtype": "float16"},
        {"policy": "uniform"},
        {"max_episode_steps": 0},
    ],
)
def test_wrong_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must .* Received: {name}="):
        envs.Acrobot(**arguments)
    with pytest.raises(ValueError, match="`breaking` must be one of none, gain, reflect, repeat"):
        envs.Reacher(breaking="gravity")


def test_what_needs_discrete_actions_says_so():
    for call in (
        lambda: dynamics.all_transitions("Acrobot"),
        lambda: envs.exact_returns("Acrobot", []),
    ):
        with pytest.raises(ValueError, match="`env` must have discrete actions here.*env=Acrobot"):
            call()
    with pytest.raises(ValueError, match="discrete"):
        agents.train_dqn("Acrobot", agents.DQNConfig(), range(1))


def test_tf_agents_steps_it():
    pytest.importorskip("tf_agents")
    env = envs.make_tf_agents("Reacher", batch_size=3)
    assert env.action_spec().shape == (2,)
    first = env.reset()
    after = env.step(tf.fill([3, 2], 0.5))
    assert after.observation.shape == first.observation.shape == (3, 7)
    assert np.any(after.observation.numpy() != first.observation.numpy())
