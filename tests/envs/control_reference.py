"""What dm_control's own tasks do; imports it only when it is asked."""

from __future__ import annotations

import numpy as np

TASKS = {
    "CartPoleSwingup": ("cartpole", "swingup"),
    "Acrobot": ("acrobot", "swingup"),
    "Reacher": ("reacher", "hard"),
}
# Of states: beyond the stops of cart and wrist, and faster than random actions get.
SCALES = {
    "CartPoleSwingup": [2.0, 4.0, 3.0, 10.0],
    "Acrobot": [4.0, 4.0, 8.0, 12.0],
    "Reacher": [4.0, 2.9, 8.0, 20.0],
}


def load(name, gravity=None, seed=0):
    """The task, with the horizontal part of gravity where one is given."""
    from dm_control import suite

    env = suite.load(*TASKS[name], task_kwargs={"random": seed})
    if gravity is not None:
        env.physics.model.opt.gravity[0] = gravity
    return env


def inputs(name, count, seed=0):
    """States [count, 4], targets [count, 2] and actions [count, k], all float32 numbers."""
    rng = np.random.default_rng(seed)
    states = rng.uniform(-1, 1, [count, 4]) * SCALES[name]
    targets = rng.uniform(-0.2, 0.2, [count, 2])
    actions = rng.uniform(-1, 1, [count, 2 if name == "Reacher" else 1])
    return tuple(x.astype(np.float32).astype(np.float64) for x in (states, targets, actions))


def set_state(env, state, target):
    """Writes a state, and the target where there is one."""
    env.reset()
    with env.physics.reset_context():
        if "target" in env.physics.named.model.geom_pos.axes.row.names:
            env.physics.named.model.geom_pos["target", ["x", "y"]] = target
        env.physics.data.qpos[:], env.physics.data.qvel[:] = state[:2], state[2:]


def read(env, step):
    """State, reward and flat observation after a step."""
    state = np.concatenate([env.physics.data.qpos, env.physics.data.qvel])
    return state, step.reward, np.concatenate([np.ravel(x) for x in step.observation.values()])


def steps(name, states, targets, actions, gravity=None):
    """Next states, rewards and observations."""
    env, rows = load(name, gravity), []
    for state, target, action in zip(states, targets, actions, strict=True):
        set_state(env, state, target)
        rows.append(read(env, env.step(action)))
    return tuple(np.array(part) for part in zip(*rows, strict=True))


def episode(name, state, target, actions):
    """States, rewards and observations of one episode from a state, and its last step's type."""
    env, rows = load(name), []
    set_state(env, state, target)
    for action in actions:
        step = env.step(action)
        rows.append(read(env, step))
    return (*(np.array(part) for part in zip(*rows, strict=True)), step)
