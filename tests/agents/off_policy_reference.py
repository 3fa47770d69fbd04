"""What the eager references of off-policy updates share: one member, plain Keras variables."""

import keras
import tensorflow as tf


def clone(model, weights, member):
    """A copy of the model with the weights of one member."""
    copy = keras.models.clone_model(model)
    for variable, value in zip(copy.trainable_variables, weights, strict=True):
        variable.assign(value[member])
    return copy


def rows_of(learner, buffer, updates, member):
    """The rows of the first updates as arrays `[steps, envs, ...]`."""
    c = learner.config

    def part(x):
        found = x[member, : updates * c.update_timesteps].numpy()
        return found.reshape(-1, c.num_environments, *found.shape[1:])

    return tf.nest.map_structure(part, buffer)


def state_at(rows, place):
    return tf.nest.map_structure(lambda x: tf.constant(x[place]), rows.state)


def window_of(learner, rows, start, end):
    """Of a window, step by step: its rewards, what the value of the rest weighs, and the state."""
    c, env = learner.config, learner.env
    t, copy = start
    reward, weight = 0.0, 1.0
    for at in range(t, min(t + c.n_steps, end)):
        place = (at, copy)
        reward += weight * rows.reward[place]
        weight *= c.discount
        if rows.terminated[place]:
            weight = 0.0
        if rows.terminated[place] or rows.truncated[place]:
            break
    action = env.action_distribution.executed(tf.constant(rows.action[place]))
    return (
        reward,
        weight,
        env.advance(state_at(rows, place), action, tf.zeros([env.num_uniforms]))[1],
    )
