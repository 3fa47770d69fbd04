"""Adam without TensorFlow, for the eager references of updates."""

import math

import numpy as np


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
