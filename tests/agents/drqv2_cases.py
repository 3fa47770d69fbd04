"""What the tests of DrQ-v2 train: small pictures of a task, and small networks."""

from tf_equirl import envs
from tf_equirl.agents import DrQv2Config

# Two phases in an update, the fourth one learns; episodes end within an update.
SMALL = DrQv2Config(
    networks="gcnn",
    features=5,
    hidden_units=(7, 6),
    filters=(3, 2),
    kernel_sizes=(3, 3),
    strides=(2, 1),
    num_environments=2,
    rollout_steps=10,
    train_every=10,
    gradient_steps=2,
    n_steps=3,
    batch_size=9,
    buffer_size=2002,
    learning_starts=36,
    learning_rate=1e-3,
    max_gradient_norm=5.0,
    tau=0.05,
    discount=0.9,
    deviation_steps=100,
    noise_clip=0.4,
    shift=2,
    total_timesteps=20 * 12,
)
SEEDS = (5, 0, 3, 9)


def small_pixels(task="CartPoleSwingup", **arguments):
    """A task in pictures of 13 pixels, of which a convolution with a stride of 2 sees 6."""
    return envs.Pixels(task, **{"size": 13, "frames": 2, "max_episode_steps": 7, **arguments})
