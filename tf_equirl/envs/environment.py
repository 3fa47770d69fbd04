"""Environments as pure functions of tensors."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.distributions import Categorical, Distribution, Gaussian
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.models.heads import Head, RealHead


class Environment(BaseEnvironment):
    """A Markov decision process, written as pure TensorFlow functions.

    Every function is batched over any leading dimensions, has static shapes and no side effects,
    so that a rollout compiles into one XLA loop. The environment holds no state: a state is a
    `NamedTuple` of tensors that share their leading dimensions, and its field `steps` (int32)
    counts the steps of the episode. A subclass sets the attributes below and defines
    `initial_state`, `observe` and `transition`; the time limit and the reset are done here.
    Actions are integers, or, where the subclass defines `action_bounds`, k numbers of a box.

    Randomness comes in as uniform numbers in [0, 1), `num_uniforms` for every step, because
    TensorFlow's stateless generators take one seed per call: a caller that gives each of many
    members its own seed draws the numbers itself. One step hands the *same* numbers to
    `transition` and to `initial_state` (which is used where the episode ends). An environment whose
    transitions are random must therefore split them: `transition` reads the first of them,
    `initial_state` the others. The numbers may be float32 or (from the gymnasium adapters) float64;
    one that selects among cases is to be used as it comes, since narrowing it can round it to 1.

    Attributes:
        num_actions: Actions are 0 .. num_actions - 1; 0 where they are numbers of a box.
        action_bounds: Lower and upper bounds, k numbers each, of the box of actions; None where
            they are integers.
        version: Version of the gymnasium id, "tf_equirl/<name>-v<version>".
        num_uniforms: Uniform numbers consumed per step, also enough for one reset.
        random_transitions: Whether `transition` uses them; False where resets alone do.
        reset_options: Names of the options that `initial_state` takes.
    """

    num_actions: int
    action_bounds: tuple[Sequence[float], Sequence[float]] | None = None
    num_uniforms: int
    random_transitions: bool = True
    reset_options: tuple[str, ...] = ()
    version: int = 0

    @property
    def gymnasium_id(self) -> str:
        """See `BaseEnvironment.gymnasium_id`; under this one those of the registry are known."""
        return f"tf_equirl/{self.name}-v{self.version}"

    def get_config(self) -> dict[str, Any]:
        """What tells this environment from others of its name, as plain JSON types.

        A run folder keeps it, and refuses to go on under another one. The arguments of a subclass
        belong to it, as they were given. A subclass defines this function itself if some of them
        are no plain values (numbers, strings, lists and dicts of them, or objects with a
        `get_config`), or make no difference.
        """
        config = {
            "observation_shape": list(self.observation_shape),
            "num_actions": self.num_actions,
            "max_episode_steps": self.max_episode_steps,
        }
        if self._arguments and type(self).get_config is Environment.get_config:
            config["arguments"] = dict(self._arguments)
        return config

    @property
    def transition_head(self) -> Head:
        """What a transition model of this environment predicts: the next observation, unless a
        subclass declares something else, together with `encode` and `decode`.
        """
        return RealHead(self.symmetry.state)

    def encode(self, state: Any) -> tf.Tensor:
        """States as the vectors [..., d] float32 that `transition_head` speaks of."""
        observation = self.observe(state)
        leading = observation.shape[: -len(self.observation_shape)]
        return tf.reshape(observation, [*leading, self.transition_head.representation.dim])

    def decode(self, encoding: tf.Tensor) -> Any:
        """The states, at step 0, that are encoded as `encoding` [..., d].

        Raises:
            ValueError: If a state of this environment cannot be set from an observation.
        """
        leading = encoding.shape[:-1]
        return self.state_from_observation(
            tf.reshape(encoding, [*leading, *self.observation_shape])
        )

    def is_terminal(self, state: Any) -> tf.Tensor:
        """Whether an episode ends in a state: [...] bool. No transition starts from such a state.

        Raises:
            ValueError: If this environment does not define it.
        """
        raise ValueError(f"{self.name} must define `is_terminal` for transition models.")

    def all_states(self) -> Any:
        """Every state that is not terminal, at step 0 and with one leading dimension.

        Raises:
            ValueError: If this environment does not list them, as one of real numbers cannot.
        """
        raise ValueError(f"The states of {self.name} cannot be listed.")

    def validate_states(self, state: Any, name: str = "state") -> None:
        """Checks states on the host: that numbers are finite, and what a subclass adds.

        Args:
            state: A state of arrays or tensors.
            name: What the message calls them.

        Raises:
            ValueError: If a number is NaN or infinite; the message says in which row.
        """
        for field, values in zip(state._fields, state, strict=True):
            wrong = ~np.isfinite(np.asarray(values))
            if wrong.any():
                raise ValueError(
                    f"`{name}` must hold finite numbers. Received: "
                    f"{first_where(wrong, values, f'{name}.{field}')}"
                )

    @abc.abstractmethod
    def initial_state(self, uniforms: tf.Tensor) -> Any:
        """Draws the first state of an episode.

        An environment with `reset_options` takes them as further, optional arguments.

        Args:
            uniforms: [..., num_uniforms] in [0, 1).

        Returns:
            A state with the leading dimensions of `uniforms` and `steps` 0.
        """

    @abc.abstractmethod
    def observe(self, state: Any) -> tf.Tensor:
        """Returns the observation [..., *observation_shape] float32 of a state."""

    @abc.abstractmethod
    def transition(
        self, state: Any, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """The dynamics alone: no time limit, no reset, no counting of steps.

        Args:
            state: The state.
            action: [...] integers, or [..., k] float32.
            uniforms: [..., num_uniforms] in [0, 1).

        Returns:
            The next state, the reward [...] float32, and [...] bool: whether it is terminal.
        """

    def outcomes(
        self, state: Any, action: tf.Tensor
    ) -> tuple[tf.Tensor, Any, tf.Tensor, tf.Tensor]:
        """Everything that `transition` can lead to, with probabilities.

        Where `random_transitions` is False that is one outcome. Other environments may define it;
        `check_symmetry` and `exact_returns` ask for it.

        Args:
            state: The state.
            action: [...] integers, or [..., k] float32.

        Returns:
            For k outcomes, the same number everywhere, of which some may be impossible: their
            probabilities [..., k] float32, which sum to 1; the next states, whose fields are
            [..., k] and what they have beyond; the rewards [..., k] float32; and [..., k] bool:
            whether they are terminal.

        Raises:
            ValueError: If transitions are random and this environment does not define it.
        """
        if self.random_transitions:
            raise ValueError(
                f"{self.name} must define `outcomes`, as its transitions are random (or say "
                "`random_transitions = False`)."
            )
        shape = state.steps.shape
        following, reward, terminated = self.transition(
            state, action, tf.zeros([*shape, self.num_uniforms])
        )
        following, reward, terminated = tf.nest.map_structure(
            lambda x: tf.expand_dims(x, shape.rank), (following, reward, terminated)
        )
        return tf.ones([*shape, 1]), following, reward, terminated

    def starts(self) -> tuple[tf.Tensor, Any]:
        """Everything that `initial_state` can draw: probabilities [k] float32, states [k].

        Raises:
            ValueError: If this environment does not list them.
        """
        raise ValueError(f"The first states of {self.name} are not listed.")

    def reward(self, state: Any, action: tf.Tensor, following: Any) -> tf.Tensor:
        """The reward [...] float32 of a step from `state` to `following`, for planning in a model.

        Raises:
            ValueError: If this environment does not define it.
        """
        raise ValueError(f"{self.name} must define `reward` for planning in a transition model.")

    def state_from_observation(self, observation: tf.Tensor) -> Any:
        """The state, at step 0, that is observed as `observation` [..., *observation_shape].

        Raises:
            ValueError: If an observation does not determine the state of this environment.
        """
        raise ValueError(
            f"The state of {self.name} cannot be set from an observation. Received: "
            f"observation={observation!r}"
        )

    @property
    def action_distribution(self) -> Distribution:
        """What the outputs of a policy for this environment mean.

        Logits of integers; means and deviations of a `Gaussian` on a box, unless a subclass says
        otherwise.
        """
        if self.action_bounds is None:
            return Categorical(self.num_actions)
        return Gaussian(*self.action_bounds, self.symmetry.action)

    def encoding_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Lower and upper bounds [d] of encoded states, which planning in a model keeps to.

        None, the default, keeps to what the replay buffer has seen; infinite bounds are none.
        """
        return None

    def render(self, state: Any, mode: str) -> NDArray[np.uint8] | str:
        """Draws one state, on the host.

        Args:
            state: A state without leading dimensions.
            mode: One of `render_modes`.

        Returns:
            [height, width, 3] uint8 for "rgb_array", lines of text for "ansi".

        Raises:
            ValueError: If the environment has no such mode, or the state is a batch.
        """
        self.validate_render_mode(mode)
        if len(state.steps.shape):
            raise ValueError(
                f"`state` must be one state, without leading dimensions. Received: state={state!r}"
            )
        return self.draw(state, mode)

    def draw(self, state: Any, mode: str) -> NDArray[np.uint8] | str:
        """What `render` returns, its arguments being checked. To be defined with `render_modes`."""
        raise NotImplementedError(f"{self.name} has render modes but does not define `draw`.")

    def validate_reset_options(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """Returns the options, to be passed to `initial_state`.

        Raises:
            ValueError: If an option is unknown or its value is not allowed.
        """
        options = dict(options or {})
        unknown = sorted(str(name) for name in options if name not in self.reset_options)
        if unknown:
            known = ", ".join(self.reset_options) or "none"
            raise ValueError(
                f"`options` of a reset of {self.name} may hold: {known}. Unknown: "
                f"{', '.join(unknown)}. Received: options={options!r}"
            )
        return options

    def reset(self, seed: tf.Tensor | Sequence[int], batch_shape: Sequence[int] = ()) -> Any:
        """Starts episodes.

        Args:
            seed: [2] int32; the same seed gives the same states.
            batch_shape: Leading dimensions of the state.

        Raises:
            ValueError: If the seed has another shape.
        """
        return self.initial_state(self.draw_uniforms(seed, batch_shape))

    def step(self, state: Any, action: tf.Tensor, seed: tf.Tensor | Sequence[int]) -> tuple:
        """Steps with randomness drawn from `seed` [2] int32; see `step_with_uniforms`."""
        action = tf.convert_to_tensor(action)
        return self.step_with_uniforms(state, action, self.draw_uniforms(seed, state.steps.shape))

    def step_with_uniforms(
        self, state: Any, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Steps, and starts a new episode where one ends.

        `terminated` and `truncated` are both true where an episode terminates at its last allowed
        step, as gymnasium's `TimeLimit` reports it; termination wins then: the value of what
        follows is 0. Where only `truncated` is true, the value of `observation` is to be
        bootstrapped.

        Args:
            state: The state.
            action: [...] integers, or [..., k] float32.
            uniforms: [..., num_uniforms] in [0, 1).

        Returns:
            state: What to go on from: a fresh episode's where the old one ended. The policy's next
                input is `observe(state)`.
            observation: [..., *observation_shape] float32, the *true* next observation of this
                transition, before any reset.
            reward: [...] float32.
            terminated: [...] bool.
            truncated: [...] bool.

        Raises:
            ValueError: If the actions are of another type or not of the state's batch shape, or,
                when executed eagerly (a compiled program cannot raise), `validate_actions` refuses
                them.
        """
        following, moved, reward, terminated, truncated = self.advance(state, action, uniforms)
        return following, self.observe(moved), reward, terminated, truncated

    def advance(
        self, state: Any, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[Any, Any, tf.Tensor, tf.Tensor, tf.Tensor]:
        """`step_with_uniforms` with the true next *state* in the place of its observation.

        Returns:
            What to go on from, the true next state before any reset, reward, terminated, truncated.

        Raises:
            ValueError: As `step_with_uniforms` does.
        """
        action = tf.convert_to_tensor(action)
        self._check_action(state, action)
        moved, reward, terminated = self.transition(state, action, uniforms)
        moved = moved._replace(steps=state.steps + 1)
        truncated = moved.steps >= self.max_episode_steps
        following = select(terminated | truncated, self.initial_state(uniforms), moved)
        return following, moved, reward, terminated, truncated

    def draw_uniforms(
        self, seed: tf.Tensor | Sequence[int], batch_shape: Sequence[int]
    ) -> tf.Tensor:
        """Returns [*batch_shape, num_uniforms] float32 numbers in [0, 1) drawn from `seed`.

        The same seed gives the same numbers, except that a program compiled by XLA draws others
        than one that is not: TensorFlow's two implementations of its generator differ.

        Raises:
            ValueError: If the seed is not two integers.
        """
        seed = tf.convert_to_tensor(seed)
        if not seed.dtype.is_integer or seed.shape.rank != 1 or seed.shape[0] != 2:
            raise ValueError(f"`seed` must be two integers, int32 [2]. Received: seed={seed!r}")
        return tf.random.stateless_uniform([*batch_shape, self.num_uniforms], seed)

    def validate_actions(self, actions: Any, batch_shape: Sequence[int]) -> NDArray[Any]:
        """Checks actions on the host and returns them as an array.

        Args:
            actions: Integers, or numbers of a box: an array or a number.
            batch_shape: Their leading dimensions.

        Raises:
            ValueError: If they are not integers in 0 .. num_actions - 1, or no finite numbers where
                there is a box, or of another shape. What is outside of the box is for `transition`.
        """
        shape = (*batch_shape, *self._action_shape)
        try:
            array = np.asarray(actions)
        except ValueError:  # nested lists of different lengths
            array = None
        if array is None or array.shape != shape:
            raise ValueError(f"`action` must have shape {shape}. Received: action={actions!r}")
        if self.action_bounds is not None:
            if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
                raise ValueError(
                    f"`action` of {self.name} must hold finite numbers. Received: "
                    f"action={actions!r}"
                )
            return array.astype(np.float32)
        in_range = array.dtype.kind in "iu"
        if in_range and array.ndim == 0:  # every step of a single environment comes here
            in_range = 0 <= int(array) < self.num_actions
        elif in_range:
            in_range = array.min(initial=0) >= 0 and array.max(initial=0) < self.num_actions
        if not in_range:
            raise ValueError(
                f"`action` of {self.name} must hold integers from 0 to {self.num_actions - 1}. "
                f"Received: action={actions!r}"
            )
        return array

    @property
    def _action_shape(self) -> tuple[int, ...]:
        """Of one action."""
        return () if self.action_bounds is None else (len(self.action_bounds[0]),)

    def _check_action(self, state: Any, action: tf.Tensor) -> None:
        if tf.executing_eagerly():
            self.validate_actions(action.numpy(), state.steps.shape.as_list())
            return
        shape = state.steps.shape.concatenate(self._action_shape)
        rule, holds = "integers", action.dtype.is_integer
        if self.action_bounds is not None:
            rule, holds = "floating-point numbers", action.dtype.is_floating
        if not holds or not action.shape.is_compatible_with(shape):
            raise ValueError(
                f"`action` must hold {rule}, shape {shape}. Received: action={action!r}"
            )


def first_where(wrong: NDArray[np.bool_], values: Any, name: str) -> str:
    """The first of `values` where `wrong` holds, as in "state.ball_row=12 in row 7"."""
    index = tuple(np.argwhere(wrong)[0])
    return f"{name}={np.asarray(values)[index]}" + (f" in row {index[0]}" if index else "")


def select(condition: tf.Tensor, chosen: Any, otherwise: Any) -> Any:
    """`tf.where` on nested structures.

    Args:
        condition: [...] bool, the leading dimensions of every tensor.
        chosen: Structure to take from where the condition holds.
        otherwise: Structure to take from elsewhere.
    """

    def pick(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        mask = condition
        for _ in range(a.shape.rank - condition.shape.rank):
            mask = mask[..., tf.newaxis]
        return tf.where(mask, a, b)

    return tf.nest.map_structure(pick, chosen, otherwise)
