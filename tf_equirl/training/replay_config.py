"""How the steps, the replay memory and the gradient steps of a config fit together."""

from __future__ import annotations

from tf_equirl._checks import MOST, integer
from tf_equirl.training.config import AgentConfig

_LARGEST_BUFFER = 2**23  # rows are drawn by float32 numbers, of which there are so many


class ReplayConfig(AgentConfig):
    """Base class of the hyperparameters of agents that learn from a replay memory.

    A seed makes `train_every` environment steps, then `gradient_steps` gradient steps, and so on: a
    phase. A subclass, a dataclass, has the fields below, with defaults of its own.

    Attributes:
        buffer_size: Newest steps of a seed that are learned from.
        batch_size: Rows of a gradient step.
        learning_starts: Environment steps of a seed before the first gradient step.
        train_every: Environment steps of a seed before each `gradient_steps`.
        gradient_steps: Gradient steps after each `train_every` environment steps.
    """

    buffer_size: int
    batch_size: int
    learning_starts: int
    train_every: int
    gradient_steps: int

    def check_replay(self, longest_window: int = 1) -> None:
        """Validates the fields of this class.

        Args:
            longest_window: Steps in a row that are learned from at once.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        copies, steps = self.num_environments, self.update_timesteps
        if self.train_every % copies or steps % self.train_every:
            self._reject(
                "train_every",
                f"a multiple of num_environments = {copies} that divides num_environments * "
                f"rollout_steps = {steps:,}, the steps of an update",
            )
        self._check_integer("buffer_size", _LARGEST_BUFFER)
        self._check_integer("batch_size")
        window = "num_environments" if longest_window == 1 else "num_environments * n_steps"
        for field, value in (
            ("batch_size", self.batch_size),
            (window, copies * longest_window),
            ("train_every", self.train_every),
        ):
            if self.buffer_size < value:
                self._reject("buffer_size", f"at least {field} = {value:,}")
        self._set("learning_starts", integer, 0, MOST, "an integer of at least 0")
        if self.learning_starts > self.buffer_size:
            self._reject("learning_starts", f"at most buffer_size = {self.buffer_size:,}")
        length = self.num_updates * steps
        if self.learning_starts > length:
            self._reject("learning_starts", f"at most the {length:,} steps of the run")

    @property
    def phase_steps(self) -> int:
        """Steps of each environment between gradient steps."""
        return self.train_every // self.num_environments

    @property
    def phases(self) -> int:
        """How often an update comes to gradient steps."""
        return self.update_timesteps // self.train_every

    @property
    def first_phase(self) -> int:
        """The number of the first phase of a run, from 0, that ends in gradient steps."""
        return -(-self.learning_starts // self.train_every) - 1

    @property
    def num_gradient_steps(self) -> int:
        """Gradient steps of a seed in the whole run."""
        return (self.num_updates * self.phases - self.first_phase) * self.gradient_steps
