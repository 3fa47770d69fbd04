"""What the replay memory keeps, and the windows that are drawn from it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.agents.dqn_cases import Fixed, Lottery
from tf_equirl.agents import DQNConfig
from tf_equirl.training import memory as module
from tf_equirl.training import replay
from tf_equirl.training.collect import collect, num_uniforms, start_acting
from tf_equirl.training.memory import Memory

MEMBERS, ENVS, DISCOUNT = 2, 3, np.float32([0.9, 0.5])


def config(**fields):
    # Two phases of two steps in an update.
    small = {
        "num_environments": ENVS,
        "rollout_steps": 4,
        "train_every": 2 * ENVS,
        "buffer_size": 7 * ENVS + 2,
        "batch_size": 4,
        "learning_starts": 4,
        "n_steps": 3,
        "total_timesteps": 1200,
    }
    return DQNConfig(**{**small, **fields})


def filled(env, config, updates):
    """A memory after some updates, and by [member][env] all steps that were made."""
    memory = Memory(env, config, config.n_steps)
    buffer = memory.empty(MEMBERS)
    acting = start_acting(env, tf.random.stateless_uniform([MEMBERS, ENVS, 3], [0, 1]))
    made = []
    for index in range(updates):
        for phase in range(config.phases):
            shape = [config.phase_steps, MEMBERS, ENVS, num_uniforms(env)]
            uniforms = tf.random.stateless_uniform(shape, [index, phase])
            acting, rollout = collect(
                env, lambda x: tf.tile(x, [1, 1, 3]), acting, uniforms, with_states=True
            )
            memory.write(buffer, rollout, uniforms[..., 1:], tf.constant(index), tf.constant(phase))
            made.append(rollout)
    columns = ("observation", "action", "reward", "terminated", "truncated", "next_observation")
    steps = {name: np.concatenate([getattr(r, name) for r in made]) for name in columns}
    return memory, buffer, steps


def reference(steps, member, env, first, config):
    """The window that begins at a step, as a plain loop has it."""
    last = len(steps["reward"]) - 1
    reward, weight = np.float32(0), np.float32(1)
    for t in range(first, min(first + config.n_steps, last + 1)):
        at = (t, member, env)
        reward += weight * steps["reward"][at]
        weight *= DISCOUNT[member]
        if steps["terminated"][at]:
            weight = np.float32(0)
        if steps["terminated"][at] or steps["truncated"][at]:
            break
    begin = (first, member, env)
    after = steps["next_observation"][at]
    return steps["observation"][begin], steps["action"][begin], reward, weight, after


@pytest.mark.parametrize("kind", [Lottery, Fixed])
# Not full; full, its beginning somewhere in the ring; after many rounds.
@pytest.mark.parametrize("updates", [1, 4, 9])
def test_each_row_is_drawn_as_often_and_begins_its_own_window(kind, updates, monkeypatch):
    monkeypatch.setattr(module, "_CALL", 24)  # a ring of four updates
    env, c = kind(), config()
    memory, buffer, steps = filled(env, c, updates)
    count = min(4 * updates, 7)  # steps of each environment; two rows of nine are left out
    each = np.linspace(0, 1, 2 * count * ENVS, endpoint=False, dtype=np.float32)
    uniforms = tf.constant(np.stack([each, each[::-1]]))
    index, phase = tf.constant(updates - 1), tf.constant(c.phases - 1)
    batch = memory.draw(buffer, uniforms, index, phase, tf.constant(DISCOUNT))
    newest = len(steps["reward"])
    rows = [(t, e) for t in range(newest - count, newest) for e in range(ENVS)]
    for member, order in ((0, rows), (1, rows[::-1])):
        for i, (t, e) in enumerate(np.repeat(order, 2, axis=0)):
            expected = reference(steps, member, e, t, c)
            for ours, theirs in zip(batch[:5], expected, strict=True):
                np.testing.assert_allclose(ours[member, i], theirs, rtol=1e-5, atol=1e-6)
    if updates > 4:  # all ends are among them
        assert (batch.weight.numpy() == 0).any() and steps["truncated"][-count:].any()


def test_the_ring_has_room_for_a_call_that_is_made_again():
    c = config()
    memory = Memory(Lottery(), c, c.n_steps)
    assert memory.most_updates == 4096 // 12
    assert memory.capacity >= 7 * ENVS + memory.most_updates * 12
    assert memory.capacity % c.update_timesteps == 0
    sizes = {"num_environments": 128, "rollout_steps": 64, "train_every": 256}
    large = config(**sizes, buffer_size=2**20, total_timesteps=2**20)
    assert Memory(Lottery(), large).most_updates == 1


def test_a_call_that_is_made_again_finds_what_it_found_before(monkeypatch):
    """As when a seed is lost in it: later steps of the call are written already."""
    monkeypatch.setattr(module, "_CALL", 24)  # two updates a call
    env, c = Lottery(), config()
    uniforms = tf.random.stateless_uniform([MEMBERS, 50], [5, 5])
    drawn = [
        memory.draw(buffer, uniforms, tf.constant(6), tf.constant(1), tf.constant(DISCOUNT))
        for memory, buffer, _ in (filled(env, c, 7), filled(env, c, 8))
    ]
    for one, other in zip(*drawn, strict=True):
        np.testing.assert_array_equal(one, other)


def test_states_are_kept_and_not_what_follows_from_them():
    """Of the environment's state, action, reward and two ends, and numbers where they matter."""
    state = 4 + 4
    for kind, numbers in ((Fixed, 0), (Lottery, 3 * 4)):
        buffer = Memory(kind(), config()).empty(MEMBERS)
        assert replay.row_bytes(tf.nest.map_structure(lambda x: x[:, 0], buffer)) == (
            state + 4 + 4 + 2 + numbers
        )
        assert all(isinstance(x, tf.Variable) for x in tf.nest.flatten(buffer))


def test_a_memory_larger_than_the_machines_is_refused_with_the_numbers(monkeypatch):
    monkeypatch.setattr(replay, "free_memory", lambda: 3 * 2**30)
    large = config(buffer_size=2**20)
    Memory(Lottery(), large).check_room(60)
    told = (
        r"`buffer_size` must be such that the replay buffer fits into memory, of which 3.0 GiB are "
        r"free: 1,052,\d+ rows of 30 bytes for each of 128 members are 3.8 GiB. Received: "
        r"buffer_size=1048576"
    )
    with pytest.raises(ValueError, match=told):
        Memory(Lottery(), large).check_room(128)
    monkeypatch.setattr(replay, "free_memory", lambda: None)
    Memory(Lottery(), large).check_room(10**6)


def test_the_machine_tells_what_memory_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(replay, "_GROUP", tmp_path)
    assert replay.free_memory() is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:       5 kB\n")
    assert replay.free_memory() == 5 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert replay.free_memory() == 5 * 1024
    (tmp_path / "memory.max").write_text("1100\n")
    assert replay.free_memory() == 1000
