"""Generalised advantage estimation."""

from __future__ import annotations

import tensorflow as tf

from tf_equirl.training.loops import repeat


def generalized_advantages(
    rewards: tf.Tensor,
    values: tf.Tensor,
    next_values: tf.Tensor,
    terminated: tf.Tensor,
    truncated: tf.Tensor,
    discount: tf.Tensor | float,
    decay: tf.Tensor | float,
) -> tf.Tensor:
    r"""Advantages of a rollout (Schulman et al., 2016, equation 16).

    $$ \delta_t = r_t + \gamma (1 - terminated_t) V(s'_t) - V(s_t), \qquad
       A_t = \delta_t + \gamma \lambda (1 - ended_t) A_{t+1}. $$

    $s'_t$ is the true next state. An episode that was cut off by the time limit is bootstrapped
    from the value of the state it was cut off in (Pardo et al., 2018); a terminal state is worth
    nothing. Both end the sum.

    Args:
        rewards: `[steps, ...]` float.
        values: `[steps, ...]`, values of the states acted in.
        next_values: `[steps, ...]`, values of the true next states, before any reset.
        terminated: `[steps, ...]` bool.
        truncated: `[steps, ...]` bool.
        discount: Gamma, a number or what goes with `[...]`, such as `[members, 1]`.
        decay: Gamma lambda, likewise; lambda of 1 gives the Monte Carlo advantage, of 0 the
            one-step advantage.

    Returns:
        `[steps, ...]` advantages; with `values` added, the TD(lambda) returns.
    """
    steps = rewards.shape[0]
    alive = 1.0 - tf.cast(terminated, rewards.dtype)
    goes_on = 1.0 - tf.cast(terminated | truncated, rewards.dtype)
    delta = rewards + discount * alive * next_values - values
    kept = decay * goes_on

    def backwards(i, carry):
        advantage, array = carry
        step = steps - 1 - i
        advantage = delta[step] + kept[step] * advantage
        return advantage, array.write(step, advantage)

    array = tf.TensorArray(rewards.dtype, steps, element_shape=rewards.shape[1:])
    return repeat(steps, backwards, (tf.zeros_like(rewards[0]), array))[1].stack()
