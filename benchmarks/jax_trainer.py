"""A PPO trainer in JAX, in the manner of PureJaxRL, to compare speeds with.

It needs `pip install jax` and nothing else, and is meant for an environment of its own: it is the
other process of `benchmarks.jax_comparison`, which sends it a number of seeds and a number of
updates in a line, and reads the seconds that they took. Lu et al., "Discovered Policy Optimisation"
(2022), describe PureJaxRL; what is computed is what `train_ppo` computes with its defaults (4
environments, 128 steps, 4 epochs of 4 minibatches, actor and critic with two hidden layers of 64,
ReLU), rollouts, advantages, shuffles, losses and Adam in one program, `jax.vmap` over seeds.
"""

import functools
import sys
import time

import jax
import jax.numpy as jnp

ENVS, STEPS, EPOCHS, MINIBATCHES, WIDTH = 4, 128, 4, 4, 64
RATE, GAMMA, LAMBDA, CLIP, VALUE, ENTROPY, NORM = 2.5e-4, 0.99, 0.95, 0.2, 0.5, 0.01, 0.5
BATCH = ENVS * STEPS


def network(key, outputs):
    """Weights and biases of three layers."""
    sizes = [(4, WIDTH), (WIDTH, WIDTH), (WIDTH, outputs)]
    keys = jax.random.split(key, len(sizes))
    return [
        (jax.random.normal(k, size) * (2 / size[0]) ** 0.5, jnp.zeros(size[1]))
        for k, size in zip(keys, sizes, strict=True)
    ]


def forward(layers, x):
    """Two hidden layers with ReLU."""
    for w, b in layers[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = layers[-1]
    return x @ w + b


def env_step(state, action, key):
    """CartPole (Barto, Sutton and Anderson, 1983) as gymnasium has it, reset where it has ended."""
    x, x_dot, theta, theta_dot, count = state
    force = jnp.where(action == 1, 10.0, -10.0)
    cos, sin = jnp.cos(theta), jnp.sin(theta)
    temp = (force + 0.05 * theta_dot**2 * sin) / 1.1
    theta_acc = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
    x_acc = temp - 0.05 * theta_acc * cos / 1.1
    moved = (
        x + 0.02 * x_dot,
        x_dot + 0.02 * x_acc,
        theta + 0.02 * theta_dot,
        theta_dot + 0.02 * theta_acc,
    )
    count = count + 1
    failed = (jnp.abs(moved[0]) > 2.4) | (jnp.abs(moved[2]) > 12 * 2 * jnp.pi / 360)
    done = failed | (count >= 500)
    fresh = jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)
    following = tuple(jnp.where(done, f, m) for f, m in zip(fresh, moved, strict=True))
    return (*following, jnp.where(done, 0, count)), done


def observe(state):
    """`[..., 4]`."""
    return jnp.stack(state[:4], axis=-1)


def loss(params, batch):
    """The clipped loss of PPO (Schulman et al., 2017, equation 9)."""
    actor, critic = params
    observation, action, old, value, advantage, target = batch
    log_probs = jax.nn.log_softmax(forward(actor, observation))
    log_prob = jnp.take_along_axis(log_probs, action[:, None], 1)[:, 0]
    now = forward(critic, observation)[:, 0]
    clipped = value + jnp.clip(now - value, -CLIP, CLIP)
    of_value = 0.5 * jnp.maximum((now - target) ** 2, (clipped - target) ** 2).mean()
    ratio = jnp.exp(log_prob - old)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    bounded = jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage
    of_policy = -jnp.minimum(ratio * advantage, bounded).mean()
    entropy = -(jnp.exp(log_probs) * log_probs).sum(-1).mean()
    return of_policy + VALUE * of_value - ENTROPY * entropy


def adam(params, grads, moments, count):
    """Adam on gradients of bounded norm."""
    leaves = jax.tree_util.tree_leaves(grads)
    norm = jnp.sqrt(sum((g**2).sum() for g in leaves))
    scale = jnp.minimum(1.0, NORM / norm)
    grads = jax.tree_util.tree_map(lambda g: g * scale, grads)
    tree = jax.tree_util.tree_map
    first = tree(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
    second = tree(lambda v, g: 0.999 * v + 0.001 * g**2, moments[1], grads)
    a, b = 1 - 0.9**count, 1 - 0.999**count
    params = tree(
        lambda p, m, v: p - RATE * (m / a) / (jnp.sqrt(v / b) + 1e-5), params, first, second
    )
    return params, (first, second)


def start(key):
    """Weights, Adam's moments, environments and a key."""
    keys = jax.random.split(key, 4)
    params = network(keys[0], 2), network(keys[1], 1)
    zeros = jax.tree_util.tree_map(jnp.zeros_like, params)
    fresh = jax.random.uniform(keys[2], (4, ENVS), minval=-0.05, maxval=0.05)
    return params, (zeros, zeros), (*fresh, jnp.zeros(ENVS, jnp.int32)), keys[3], jnp.float32(0)


def update(carry, _):
    """One rollout and its gradient steps."""
    params, moments, state, key, count = carry

    def act(carry, _):
        state, key = carry
        key, of_action, of_reset = jax.random.split(key, 3)
        observation = observe(state)
        logits = forward(params[0], observation)
        action = jax.random.categorical(of_action, logits)
        log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], 1)[:, 0]
        value = forward(params[1], observation)[:, 0]
        keys = jax.random.split(of_reset, ENVS)
        state, done = jax.vmap(env_step)(state, action, keys)
        return (state, key), (observation, action, log_prob, value, done)

    (state, key), (observation, action, log_prob, value, done) = jax.lax.scan(
        act, (state, key), None, STEPS
    )
    last = forward(params[1], observe(state))[:, 0]

    def back(carry, row):
        advantage, following = carry
        value, done = row
        delta = 1.0 + GAMMA * following * (1 - done) - value
        advantage = delta + GAMMA * LAMBDA * (1 - done) * advantage
        return (advantage, value), advantage

    _, advantage = jax.lax.scan(
        back, (jnp.zeros_like(last), last), (value, done.astype(jnp.float32)), reverse=True
    )
    batch = observation, action, log_prob, value, advantage, advantage + value
    batch = jax.tree_util.tree_map(lambda x: x.reshape(BATCH, *x.shape[2:]), batch)

    def epoch(carry, _):
        params, moments, key, count = carry
        key, own = jax.random.split(key)
        order = jax.random.permutation(own, BATCH)
        parts = jax.tree_util.tree_map(
            lambda x: x[order].reshape(MINIBATCHES, -1, *x.shape[1:]), batch
        )

        def minibatch(carry, part):
            params, moments, count = carry
            grads = jax.grad(loss)(params, part)
            params, moments = adam(params, grads, moments, count + 1)
            return (params, moments, count + 1), None

        (params, moments, count), _ = jax.lax.scan(minibatch, (params, moments, count), parts)
        return (params, moments, key, count), None

    (params, moments, key, count), _ = jax.lax.scan(
        epoch, (params, moments, key, count), None, EPOCHS
    )
    return (params, moments, state, key, count), done.mean()


@functools.partial(jax.jit, static_argnums=1)
def train(states, updates):
    """Some updates of many seeds; the rate of steps at which episodes ended, `[seeds, updates]`."""
    return jax.vmap(lambda state: jax.lax.scan(update, state, None, updates))(states)


def main():
    """Answers lines `seeds updates` with the seconds that those updates took."""
    print(jax.__version__, flush=True)
    kept = {}
    for line in sys.stdin:
        seeds, updates = map(int, line.split())
        if seeds not in kept:
            keys = jax.vmap(jax.random.PRNGKey)(jnp.arange(seeds))
            kept[seeds] = jax.jit(jax.vmap(start))(keys)
        if updates == 0:  # the mean length of episodes over ten updates, to see that it learns
            _, ended = train(kept[seeds], 100)
            print(float(1 / ended[:, -10:].mean()), flush=True)
            continue
        jax.block_until_ready(kept[seeds])
        started = time.perf_counter()
        states, ended = train(kept[seeds], updates)
        jax.block_until_ready((states, ended))
        kept[seeds] = states
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
