"""Updates of learners whose environments are stepped on the host."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.training import programs
from tf_equirl.training.collect import ActingState, Rollout
from tf_equirl.training.host import Copies, Seen, acting_program, copies_of, episode_seeds
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.replay import take, write


class OnHost:
    """Updates of a learner whose environment is stepped on the host; its `run` is a stage's.

    Copies of members that fill a block up act in nothing: they have what the member has that they
    copy. An update that does not follow the one before it, as after a checkpoint, begins with new
    episodes, since the state of such environments cannot be saved.

    Args:
        learner: An `ActingLearner`.
    """

    def __init__(self, learner: Any):
        self.learner = learner
        self._blocks: dict[Any, Block] = {}
        self._compiled: set[int] = set()

    def run(self, state: Any, first: int, number: int) -> tuple[Any, Any]:
        """See `Stage.run`; at most one update."""
        block = self._block(state)
        if number:
            state, reports = self.update(block, state, first)
            return state, {name: value[tf.newaxis] for name, value in reports.items()}
        members = len(state.seeds)
        if members not in self._compiled:
            self._compiled.add(members)
            self.compile(block, state)
        return state, {}

    def update(self, block: Block, state: Any, index: int) -> tuple[Any, Any]:
        """The state after an update, and what it reports."""
        raise NotImplementedError

    def compile(self, block: Block, state: Any) -> None:
        """Calls every program once for a number of members."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes all environments."""
        for block in self._blocks.values():
            block.copies.close()
        self._blocks.clear()

    def _block(self, state: Any) -> Block:
        of_adam = state.adam.values() if isinstance(state.adam, dict) else [state.adam]
        own = (state.seeds, *tf.nest.flatten((state.settings, [a.settings for a in of_adam])))
        distinct = copies_of(own)
        key = state.seeds.numpy().tobytes(), distinct.tobytes()
        if key not in self._blocks:
            self._blocks[key] = Block(self.learner, state.seeds.numpy(), distinct)
        return self._blocks[key]


class HostUpdates(OnHost):
    """Those of an `OnPolicyLearner`: a rollout, then what is learned from it."""

    def update(self, block: Block, state: Any, index: int) -> tuple[Any, Any]:
        """See `OnHost.update`."""
        acting, rollout = self.collect(block, state, index)
        return self._programs[2](state, acting, rollout, tf.constant(index))

    def collect(self, block: Block, state: Any, index: int) -> tuple[ActingState, Rollout]:
        """The rollout of update `index`."""
        act, begin, _ = self._programs
        acting = block.begin(state.acting, index)
        uniforms, weights = begin(state.seeds, tf.constant(index), state.weights.of("actor"))
        steps = range(self.learner.config.rollout_steps)
        acting, rollout = block.steps(acting, act, weights, uniforms, steps)
        block.sound = tuple(
            np.isfinite(x).all(axis=(0, *range(2, x.ndim)))
            for x in (rollout.reward, rollout.next_observation)
        )
        return tf.nest.map_structure(tf.constant, (acting, rollout))

    def sound(self, state: Any, member: int) -> tuple[bool, bool]:
        """Whether rewards and observations of the last rollout of a member were finite."""
        rewards, observations = self._block(state).sound
        return bool(rewards[member]), bool(observations[member])

    def compile(self, block: Block, state: Any) -> None:
        """See `OnHost.compile`."""
        act, begin, learn = self._programs
        uniforms, weights = begin(state.seeds, tf.constant(0), state.weights.of("actor"))
        one = block.nothing(state, act, weights, uniforms)
        steps = self.learner.config.rollout_steps
        rollout = tf.nest.map_structure(lambda x: tf.stack([x] * steps), one)
        learn(state, state.acting, rollout, tf.constant(0))

    @functools.cached_property
    def _programs(self) -> tuple[Any, Callable, Callable]:
        learner = self.learner
        return programs.cached(("host", learner.key), lambda: _make_programs(learner))


class HostPhases(OnHost):
    """Those of an `OffPolicyLearner`: phases of some steps, each with its gradient steps."""

    def update(self, block: Block, state: Any, index: int) -> tuple[Any, Any]:
        """See `OnHost.update`."""
        made, c = self._programs, self.learner.config
        acting = block.begin(state.acting, index)
        own, number = made.own(state), tf.constant(index)
        numbers, rates, learned, weights = made.begin(state._replace(buffer=()), number)
        uniforms = tf.reshape(numbers.acting, [c.rollout_steps, *numbers.acting.shape[2:]])
        returns, at_once = [], None
        for phase in range(c.phases):
            at_first = index * c.phases + phase <= c.first_phase
            act = made.act_at_first if at_first else made.act
            steps = range(phase * c.phase_steps, (phase + 1) * c.phase_steps)
            acting, rollout = block.steps(acting, act, weights, uniforms, steps)
            returns.append(rollout.last_return)
            rows = tf.nest.map_structure(tf.constant, rollout)
            arguments = learned, own, state.buffer, rows, numbers, number, tf.constant(phase), rates
            if at_once is None:  # see `acting_program`
                at_once = made.learn.get_concrete_function(*arguments)
            learned, weights = at_once(*arguments)
        acting = tf.nest.map_structure(tf.constant, acting)
        after, reports = made.end(
            state._replace(acting=acting, buffer=()),
            learned,
            tf.constant(np.stack(returns)),
            number,
        )
        return after._replace(buffer=state.buffer), reports

    def compile(self, block: Block, state: Any) -> None:
        """See `OnHost.compile`. The rows that are written meanwhile are put back."""
        made, c, zero = self._programs, self.learner.config, tf.constant(0)
        numbers, rates, learned, weights = made.begin(state._replace(buffer=()), zero)
        uniforms = tf.reshape(numbers.acting, [c.rollout_steps, *numbers.acting.shape[2:]])
        for act in (made.act_at_first, made.act):
            one = block.nothing(state, act, weights, uniforms)
        rollout = tf.nest.map_structure(lambda x: tf.stack([x] * c.phase_steps), one)
        own = made.own(state)
        first = tf.broadcast_to(tf.range(c.train_every), [len(state.seeds), c.train_every])
        kept = take(state.buffer, first)
        arguments = learned, own, state.buffer, rollout, numbers, zero, zero, rates
        made.learn.get_concrete_function(*arguments)(*arguments)
        write(state.buffer, kept, zero)
        returns = tf.stack([rollout.last_return] * c.phases)
        made.end(state._replace(buffer=()), learned, returns, zero)

    @functools.cached_property
    def _programs(self) -> PhasePrograms:
        learner = self.learner
        return programs.cached(("host", learner.key), lambda: PhasePrograms(learner))


class PhasePrograms:
    """The compiled programs of an `OffPolicyLearner` whose environment is on the host.

    Args:
        learner: The learner.

    Attributes:
        act_at_first: Acting before the first gradient step, an `acting_program`.
        act: Acting from then on.
        begin: What an update begins with: its random numbers, step sizes, what gradient steps
            change, and the actor's weights as they are applied.
        learn: Writes the steps of a phase into the memory, and makes its gradient steps.
        end: The state after an update, and what it reports.
    """

    def __init__(self, learner: Any):
        copies = learner.config.num_environments
        actor, distribution = learner.networks["actor"], learner.env.action_distribution

        def prepared(learned):
            return learner.population.prepared(learned.weights.of("actor"), copies)

        @tf.function(jit_compile=True, autograph=False)
        def begin(state, index):
            learned, numbers = learner.begin(state), learner.numbers(state.seeds, index)
            return numbers, learner.rates(state, index), learned, prepared(learned)

        @tf.function(jit_compile=True, autograph=False)
        def learn(learned, own, buffer, rollout, numbers, index, phase, rates):
            learner.memory.write(buffer, rollout, (), index, phase)
            learned = learner.gradient_steps(learned, own, buffer, numbers, index, phase, rates)
            return learned, prepared(learned)

        @tf.function(jit_compile=True, autograph=False)
        def end(state, learned, last_return, index):
            return learner.after(state, learned, last_return, index)

        self.act_at_first = acting_program(actor, distribution, False, learner.first_draw)
        self.act = acting_program(actor, distribution, False)
        self.begin, self.learn, self.end = begin, learn, end

    def own(self, state: Any) -> Any:
        """A state without all that gradient steps have no use for, or are handed beside it."""
        return type(state)(
            *(x if name in ("seeds", "settings") else () for name, x in state._asdict().items())
        )


def _make_programs(learner: Any) -> tuple[Any, Callable, Callable]:
    """Acting, what a rollout begins with (its random numbers, the actor's weights as they are
    applied), and learning from it."""
    config, distribution = learner.config, learner.env.action_distribution

    @tf.function(jit_compile=True, autograph=False)
    def begin(seeds, index, weights):
        shape = [config.rollout_steps, config.num_environments, distribution.num_uniforms]
        uniforms = member_uniforms(seeds, Purpose.ROLLOUT, index, shape)
        weights = learner.population.prepared(weights, config.num_environments)
        return tf.transpose(uniforms, [1, 0, 2, 3]), weights

    @tf.function(jit_compile=True, autograph=False)
    def learn(state, acting, rollout, index):
        return learner.after(state, acting, rollout, index, index)

    return acting_program(learner.networks["actor"], distribution, False), begin, learn


class Block:
    """The environments of a block of members.

    Args:
        learner: The learner.
        seeds: `[members]`.
        distinct: `[members]`, see `copies_of`.
    """

    def __init__(self, learner: Any, seeds: NDArray[np.integer], distinct: NDArray[np.intp]):
        self.config, self.env = learner.config, learner.env
        self.distinct = distinct
        _, self.first = np.unique(distinct, return_index=True)
        self.seeds = seeds[self.first]
        self.copies = Copies(self.env, len(self.first), self.config.num_environments)
        self.sound = (np.ones(len(seeds), bool),) * 2
        self._next = -1

    def begin(self, acting: ActingState, index: int) -> ActingState:
        """What update `index` begins with, of arrays: new episodes, if it follows no other."""
        observation, episode, last = (x.numpy() for x in acting)
        if index != self._next:
            seeds = episode_seeds(self.seeds, index, self.config.num_environments)
            observation = self._spread(self.copies.reset(seeds))
            episode = np.zeros_like(episode)
        self._next = index + 1
        return ActingState(observation, episode, last)

    def steps(
        self, acting: ActingState, act: Any, weights: Any, uniforms: tf.Tensor, steps: Sequence[int]
    ) -> tuple[ActingState, Rollout]:
        """Some steps of an update.

        Args:
            acting: Of arrays.
            act: An `acting_program`.
            weights: Of the actor.
            uniforms: Of the whole update, see `acting_program`.
            steps: Their numbers in the update.

        Returns:
            What to go on from, and the steps, `[steps, members, envs, ...]`, of arrays.
        """
        observation, episode, last = acting
        at_once = act.get_concrete_function(
            weights, tf.constant(observation), uniforms, tf.constant(0)
        )
        rows = []
        for step in steps:
            action, executed, log_prob, _ = at_once(
                weights, tf.constant(observation), uniforms, tf.constant(step)
            )
            given = executed.numpy()[self.first]
            # Of a member that was lost in this update, which is told at its end.
            given[np.isnan(given)] = 0
            seen = Seen(*map(self._spread, self.copies.step(given.reshape(-1, *given.shape[2:]))))
            ended = seen.terminated | seen.truncated
            episode = episode + seen.reward
            last = np.where(ended, episode, last)
            episode = np.where(ended, np.float32(0), episode)
            row = Rollout(
                observation,
                action.numpy(),
                log_prob.numpy(),
                seen.reward,
                seen.true_observation,
                seen.terminated,
                seen.truncated,
                last,
                valid=() if self.copies.always_valid else seen.valid,
            )
            rows.append(row)
            observation = seen.observation
        rollout = tf.nest.map_structure(lambda *x: np.stack(x), *rows)
        return ActingState(observation, episode, last), rollout

    def nothing(self, state: Any, act: Any, weights: Any, uniforms: tf.Tensor) -> Rollout:
        """A step of no environment, which programs are compiled with; of tensors."""
        observation = state.acting.env
        arguments = weights, observation, uniforms, tf.constant(0)
        # Called directly, TensorFlow would warn of a function that is compiled at most calls.
        action, _, log_prob, _ = act.get_concrete_function(*arguments)(*arguments)
        row = tf.zeros(log_prob.shape)
        no = tf.zeros(log_prob.shape, tf.bool)
        valid = () if self.copies.always_valid else no
        return Rollout(observation, action, log_prob, row, observation, no, no, row, valid=valid)

    def _spread(self, of_copies: NDArray[Any]) -> NDArray[Any]:
        """`[distinct * envs, ...]` as `[members, envs, ...]`."""
        shape = (len(self.first), self.config.num_environments, *of_copies.shape[1:])
        return of_copies.reshape(shape)[self.distinct]
