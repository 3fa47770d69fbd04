"""What the eager references of off-policy updates share: one member, plain Keras variables."""

import math

import keras
import numpy as np
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


class Adam:
    """The textbook's, of one optimiser of one member, with a bound on the gradient's norm."""

    def __init__(self, config, state, member):
        self.config = config
        self.first, self.second = ([np.float64(m[member]) for m in x] for x in state[:2])

    def step(self, variables, gradients, count, rate):
        """Moves the variables; returns the norm of the gradients, which was not bounded yet."""
        c = self.config
        norm = math.sqrt(sum(np.square(g).sum() for g in map(np.float64, gradients)))
        scale = min(1.0, c.max_gradient_norm / norm)
        for i, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            g = np.float64(gradient) * scale
            self.first[i] = c.adam_beta_1 * self.first[i] + (1 - c.adam_beta_1) * g
            self.second[i] = c.adam_beta_2 * self.second[i] + (1 - c.adam_beta_2) * g * g
            mean = self.first[i] / (1 - c.adam_beta_1**count)
            root = np.sqrt(self.second[i] / (1 - c.adam_beta_2**count))
            variable.assign(variable - rate * mean / (root + c.adam_epsilon))
        return norm
