"""What a learning algorithm is to the host loop."""

from __future__ import annotations

import abc
import copy
import functools
import json
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.envs import BaseEnvironment
from tf_equirl.training import programs
from tf_equirl.training.loops import repeat_and_stack
from tf_equirl.training.members import PerMember, structure
from tf_equirl.training.model_checks import convolutions_of_keras
from tf_equirl.training.population import Population
from tf_equirl.training.result import Outcome, Result
from tf_equirl.training.run_folder import RunFolder

UPDATES_PER_CALL = 32
"""Updates that one compiled call makes at most, unless a stage says otherwise."""

Reports = Mapping[str, Any]
"""What a call reports by name, `[steps, ..., members]` each."""


class Stage(NamedTuple):
    """A kind of work that a run is made of, such as updating, or fitting a model.

    Attributes:
        name: What it is called.
        run: From a state, the number of the first step and the number of steps, 0 and more, to the
            next state and what each step reported, `[most, ..., members]`, of which the first steps
            count. Called with no steps at all it only compiles.
        most: The most steps that one call makes.
        seconds: How long a call should take, so that progress is seen and Ctrl-C is heard. Infinity
            makes as many steps as there may be at each call, which a stage needs whose random
            numbers depend on where calls begin.
    """

    name: str
    run: Callable[[Any, int, int], tuple[Any, Reports]]
    most: int
    seconds: float = 1.0


class Trouble(NamedTuple):
    """What is said of numbers that are not finite.

    Attributes:
        what: Is infinite or NaN.
        where: In which step.
        update: Its number, for `NonFiniteError.update`.
        advice: What to do, a sentence.
    """

    what: str
    where: str
    update: int
    advice: str = "A smaller learning_rate often helps."


class Learner(abc.ABC):
    """A learning algorithm for many members at once, as functions of stacked tensors.

    `start` makes the state of some members from their seeds, `update` turns it into the next one;
    both are pure, and `update` is traced into a compiled loop. `train` runs any learner: compiling,
    progress, TensorBoard, checkpoints, Ctrl-C, resuming and results are its business.

    A state is a structure of tensors that start with `[members]`. What an update reports is a dict
    of tensors `[..., members]`; "finite", bool, tells whether a member's numbers are sound.

    Args:
        env: The environment.
        config: Hyperparameters.
        networks: The Keras models that are trained, by their role.

    Attributes:
        trainer: The name of the algorithm, which a run folder keeps.
        update_timesteps: Environment steps of a seed that one update takes.
        per_member: Fields of the config that may differ from member to member. `start` makes
            tensors of the state of them, the programs read those, and no other than `start` reads
            the fields.
    """

    trainer: ClassVar[str]
    env: Any  # of the kind of `BaseEnvironment` that the algorithm is for
    length: ClassVar[str | None] = None
    """Field of the config that says how long a run is, if a longer one begins as a shorter one."""
    per_member: PerMember = {}
    update_timesteps: int = 1
    policy: ClassVar[str] = "actor"
    """Role of the network that acts: its outputs are the parameters of a distribution of actions,
    of which evaluations take the mode."""
    reports_returns: ClassVar[bool] = False
    """Whether stage "update" reports "returns", `[steps, ..., members]`: that of the last finished
    episode after each of an update's steps, NaN before the first."""

    def __init__(self, env: BaseEnvironment, config: Any, networks: Mapping[str, keras.Model]):
        self.env = env
        self.config = config
        self.networks = dict(networks)
        self.population = Population(networks)

    # What an algorithm defines.

    @abc.abstractmethod
    def start(self, seeds: Sequence[int], configs: Sequence[Any] | None = None) -> Any:
        """The state before the first update; a member's numbers depend on what is its own only.

        Args:
            seeds: One for each member.
            configs: One for each member; None where all have that of the learner, as they always
                have if nothing is `per_member`.
        """

    def update(self, state: Any, index: tf.Tensor) -> tuple[Any, Reports]:
        """The next state and what is reported of update `index`, an int32 scalar from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define `update`, or `stages`")

    @property
    def num_updates(self) -> int:
        """Updates in the whole run."""
        return self.config.num_updates

    @abc.abstractmethod
    def weights(self, state: Any) -> dict[str, list[tf.Tensor]]:
        """By role of the network all its weights in a state, trainable ones first."""

    @abc.abstractmethod
    def result(self, outcome: Outcome) -> Result:
        """What the run gives back."""

    # What most algorithms leave as it is.

    def check_members(self, count: int) -> None:
        """Checks, before any work, that so many members can be trained.

        Raises:
            ValueError: If a network has convolutions of Keras' own, which cannot be mapped over the
                kernels of several members.
        """
        for role, network in self.networks.items():
            found = convolutions_of_keras(network)
            if count > 1 and found:
                raise ValueError(
                    f"{role} must have no convolutions of Keras' own where several seeds are "
                    "trained: layers.LiftingConv2D of a picture under the group of one element is "
                    f'one that can be, as models.actor(kind="cnn") has. Received: {role} with '
                    f"{', '.join(found)}, {count} members"
                )

    @property
    def acting_network(self) -> keras.Model | None:
        """The network that acts, of the role `policy`; None if there is none."""
        return self.networks.get(self.policy)

    def acting_weights(self, state: Any) -> list[tf.Tensor]:
        """Its weights in a state, trainable ones first."""
        return self.weights(state)[self.policy]

    def write(self, folder: RunFolder, outcome: Outcome, result: Any) -> None:
        """Writes the results into the run folder; nothing by default."""
        return

    def close(self) -> None:
        """Lets go of what it holds outside of its states, after a run; nothing by default."""
        return

    @functools.cached_property
    def stages(self) -> dict[str, Stage]:
        """The kinds of work by name; one, "update", unless an algorithm has more."""
        run = self.compiled("update", self.update)
        return {"update": Stage("update", run, UPDATES_PER_CALL)}

    def ahead(self, done: Mapping[str, int]) -> tuple[str, int] | None:
        """What is to be done next: a stage and how many of its steps; None at the end.

        Args:
            done: Steps that are made by stage.
        """
        number = self.num_updates - done["update"]
        return ("update", number) if number else None

    def settled(self, stage: str, reports: Reports) -> bool:
        """Whether the rest of what is `ahead` of a stage would change nothing any more."""
        return False

    @property
    def fixed_by(self) -> str | None:
        """What makes runs of this config depend on their `length` from the start, or None."""
        return None

    def describe(self) -> dict[str, Any]:
        """What tells this run from others beside environment, config, seeds and networks."""
        return {}

    @functools.cached_property
    def key(self) -> tuple[Hashable, ...]:
        """All that decides what the compiled programs compute, `per_member` left out."""
        models = tuple(
            (role, programs.model_key(model)) for role, model in sorted(self.networks.items())
        )
        config = json.dumps(structure(self.config, self.per_member), sort_keys=True)
        return type(self), self.env.program_key(), config, models

    def with_config(self, config: Any) -> Learner:
        """This learner as it is to the members that have this config, for their results."""
        other = copy.copy(self)
        other.config = config
        return other

    def progress(self, view: RunView) -> Any:
        """What `on_progress` is called with."""
        return view

    def scalars(self, stage: str, first: int, reports: Reports) -> Iterator[tuple[str, float, int]]:
        """Names, values and x-coordinates for TensorBoard of the steps from `first` on."""
        for name, values in reports.items():
            if values.ndim == 2 and name != "finite":
                for i, row in enumerate(values):
                    step = (first + i + 1) * self.update_timesteps
                    yield f"training/{name}", mean_of_sound(row), step

    def keep(self, harmed: np.ndarray, before: Any, after: Any) -> Any:
        """A state whose harmed members are those of an earlier one.

        Args:
            harmed: `[members]` bool.
            before: An earlier state.
            after: The state. Variables stay as they are, since earlier states share them.
        """

        def chosen(old: Any, new: Any) -> Any:
            if isinstance(new, tf.Variable):
                return new
            mask = np.repeat(harmed, new.shape[0] // len(harmed))  # several models of a member
            return tf.where(mask.reshape(-1, *[1] * (len(new.shape) - 1)), old, new)

        return tf.nest.map_structure(chosen, before, after)

    def trouble(self, stage: str, index: int, state: Any, member: int) -> Trouble:
        """What is said of numbers that a step made infinite or NaN.

        Args:
            stage: Its name.
            index: Number of the step.
            state: From which it was made.
            member: Whose numbers they are.
        """
        timestep = (index + 1) * self.update_timesteps
        return Trouble(
            what="a loss, gradient or weight is infinite or NaN",
            where=f"in update {index}, timestep {timestep:,}",
            update=index,
        )

    def compiled(
        self, name: str, step: Callable[..., tuple[Any, Reports]], most: int = UPDATES_PER_CALL
    ) -> Any:
        """`Stage.run` that repeats a step in one compiled program.

        Args:
            name: Of the stage.
            step: From a state and an int32 number to the next state and what is reported.
            most: See `Stage`.
        """

        def make() -> Any:
            @tf.function(jit_compile=True, autograph=False)
            def run(state, first, number):
                def body(i, state):
                    return step(state, first + i)

                return repeat_and_stack(number, body, state, maximum=most)

            return run

        def call(state: Any, first: int, number: int) -> tuple[Any, Reports]:
            program = programs.cached((name, most, self.key), make)
            return program(state, tf.constant(first), tf.constant(number))

        return call


class RunView(NamedTuple):
    """How far a run is.

    Attributes:
        stage: What is going on.
        done: Steps that are made by stage.
        last: What the last call of each stage reported.
        states: One for each block of seeds.
        num_seeds: Seeds of the run; what blocks are filled up with stands last.
        rate: Steps of this stage by second, lately, all seeds together; 0 before the first.
        compile_seconds: Time that compilation took; 0 before it.
        evaluated: Mean over seeds of the last evaluation; NaN before the first.
    """

    stage: str
    done: Mapping[str, int]
    last: Mapping[str, Mapping[str, np.ndarray]]
    states: Sequence[Any]
    num_seeds: int
    rate: float
    compile_seconds: float
    evaluated: float = math.nan


def mean_of_sound(values: np.ndarray) -> float:
    """Mean of all that is not NaN, as what is told of harmed seeds is; NaN if nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
