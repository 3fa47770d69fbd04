"""Dyna as a learner: acting, fitting and planning for many members at once."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.dyna.config import DynaConfig
from tf_equirl.dyna.imagination import Dynamics, ImaginedEnvironment
from tf_equirl.dyna.model_population import STEPS_PER_CALL, Kept, ModelPopulation
from tf_equirl.dyna.progress import DynaProgress
from tf_equirl.dyna.result import PARTS, DynaResult
from tf_equirl.dyna.schedule import Schedule
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.envs import Environment
from tf_equirl.envs.environment import select
from tf_equirl.models.heads import RealHead
from tf_equirl.training import programs
from tf_equirl.training.collect import ActingState, Rollout, by_member, mean_of_known, start_acting
from tf_equirl.training.learner import (
    UPDATES_PER_CALL,
    Learner,
    Reports,
    RunView,
    Stage,
    Trouble,
    mean_of_sound,
)
from tf_equirl.training.loops import repeat_and_stack
from tf_equirl.training.members import structure
from tf_equirl.training.on_policy import AgentState, OnPolicyLearner, last_mean_return
from tf_equirl.training.optimizer import OPTIMIZER_FIELDS, AdamState
from tf_equirl.training.population import Weights
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.replay import any_rows, append, empty_buffer, take
from tf_equirl.training.result import Outcome
from tf_equirl.training.run_folder import RunFolder

READ = {
    "update": (),
    "fit": ("model", "ensemble_size", "augment"),
    "measure": (
        "ensemble_size",
        "planning_starts",
        "model_rollout_steps",
        "max_policy_change",
        "max_model_error",
        "high_error",
    ),
    "plan": (
        "ensemble_size",
        "planning_starts",
        "model_rollout_steps",
        "max_policy_change",
        "max_disagreement",
    ),
}
"""By program what it reads of a `DynaConfig` beside the agent: runs that differ in nothing of it
share it. What stands nowhere only the schedule needs."""


class Planning(NamedTuple):
    """One iteration's planning, `[members, ...]` each."""

    acting: ActingState  # in the model
    reference: list[tf.Tensor]  # the actor before planning; empty where nothing bounds its change
    bounds: list[tf.Tensor]  # lowest and highest encoding to imagine; empty where nothing does
    limit: tf.Tensor  # int32: updates that the member may make
    made: tf.Tensor  # int32: updates that it has made
    finite: tf.Tensor  # bool


class DynaState(NamedTuple):
    """All that a run needs to go on, with a leading `[members]` axis.

    All are tensors but for the variables of the buffer. The models of an ensemble are members of
    their own in `model` and `model_adam`.
    """

    agent: AgentState
    made: tf.Tensor  # int32: updates so far, planned ones included
    buffer: Kept
    model: Weights
    model_adam: AdamState
    planning: Planning


class DynaLearner(Learner):
    """An agent that also learns in a model of the environment.

    Its stages are "update", where the agent acts and learns and transitions are kept; "fit",
    gradient steps of the transition model; "measure", which measures the model and starts episodes
    in it; and "plan", where the agent learns there with the same code. A member's numbers depend on
    its own seed and on nothing of the other members.

    Args:
        agent: The learner of the agent.
        config: Hyperparameters.
        model: The transition model; None plans in the environment itself.
        frozen: What a model that is not trained is called; None trains it.
    """

    trainer = "train_dyna"
    reports_returns = True
    config: DynaConfig

    def __init__(
        self,
        agent: OnPolicyLearner,
        config: DynaConfig,
        model: keras.Model | None,
        frozen: str | None = None,
    ):
        networks = dict(agent.networks)
        if model is not None:
            networks[ROLE] = model
        super().__init__(agent.env, config, networks)
        self.agent = agent
        self.model = model
        self.frozen = frozen
        self.fits = model is not None and frozen is None
        self.update_timesteps = agent.update_timesteps
        self.metric_names = () if model is None else agent.env.transition_head.metric_names
        self.models = ModelPopulation(agent.env, config, model)
        # Whether transitions are kept: for a model, or to start from.
        needed = model is not None or config.planning_starts == "buffer"
        self.keeps = bool(config.planning_ratio) and needed
        self.schedule = Schedule(config, self.fits)
        self.per_member = {
            **{f"agent.{name}": part for name, part in agent.per_member.items()},
            **{f"model.{name}": part for name, part in OPTIMIZER_FIELDS.items()},
        }

    @property
    def num_updates(self) -> int:
        """Updates in the environment."""
        return self.agent.num_updates

    def describe(self) -> dict[str, Any]:
        """See `Learner.describe`."""
        start = self.agent.start_from
        return {"frozen_model": self.frozen, **({} if start is None else start.describe())}

    def start(self, seeds: Sequence[int], configs: Sequence[DynaConfig] | None = None) -> DynaState:
        """The state before the first update; see `OnPolicyLearner.start`."""
        configs = [self.config] * len(seeds) if configs is None else configs
        agent = self.agent.start(seeds, [config.agent for config in configs])
        zeros = tf.zeros([len(seeds)], tf.int32)
        weights = self.models.start(seeds, not self.fits)
        planning = Planning(
            acting=agent.acting,
            reference=self._actor(agent.weights) if self._bounded else [],
            bounds=self._declared_bounds(len(seeds)),
            limit=zeros,
            made=zeros,
            finite=tf.ones([len(seeds)], tf.bool),
        )
        state = tf.nest.map_structure(lambda x: x[:, 0], agent.acting.env)
        distribution = self.env.action_distribution
        action = tf.zeros([len(seeds), *distribution.action_shape], distribution.action_dtype)
        buffer = empty_buffer(Kept(state, action, state), self.config.capacity if self.keeps else 0)
        trained = weights if self.fits else weights._replace(trained={})
        adam = self.models.start_optimizer(trained, configs)
        return DynaState(agent, zeros, buffer, weights, adam, planning)

    @functools.cached_property
    def stages(self) -> dict[str, Stage]:
        """See `Learner.stages`."""
        if not self.config.planning_ratio:  # nothing is planned: the very program of the agent
            update = self.agent.stages["update"]

            def run(state: DynaState, first: int, number: int) -> tuple[DynaState, Reports]:
                agent, reports = update.run(state.agent, first, number)
                return state._replace(agent=agent, made=state.made + number), reports

            return {"update": update._replace(run=run)}
        stages = [
            Stage("update", self._run, UPDATES_PER_CALL),
            Stage("fit", self._run_fit, STEPS_PER_CALL, seconds=math.inf),
            Stage("measure", self._run_measure, 1),
            Stage("plan", self._run_plan, UPDATES_PER_CALL, seconds=2.0),
        ]
        return {stage.name: stage for stage in stages if stage.name != "fit" or self.fits}

    def ahead(self, done: Mapping[str, int]) -> tuple[str, int] | None:
        """See `Learner.ahead`."""
        return self.schedule.ahead(done)

    def settled(self, stage: str, reports: Reports) -> bool:
        """What is left of an iteration's planning would be undone for every seed."""
        return stage == "plan" and bool((reports["made"][-1] >= reports["limit"][-1]).all())

    # The stages. None returns the replay buffer: XLA would copy it at every call.

    def _run(self, state: DynaState, first: int, number: int) -> tuple[DynaState, Reports]:
        """Acts and learns in the environment.

        The transitions are written to the buffer of `state`, which the next state shares. A call
        that is made again, after an interruption, writes the same rows to the same places.
        """
        program = self._program("update", self.act_and_learn)
        agent, made, (reports, rows) = program(
            state.agent, state.made, tf.constant(first), tf.constant(number)
        )
        if self.keeps:
            for i in range(number):
                of_update = tf.nest.map_structure(lambda x, i=i: x[i], rows)
                append(state.buffer, of_update, first + i)
        return state._replace(agent=agent, made=made), reports

    def _run_fit(self, state: DynaState, first: int, number: int) -> tuple[DynaState, Reports]:
        """Makes gradient steps of the model."""
        filled = self.schedule.filled(self.schedule.iteration("fit", first))
        weights, adam = self._program("fit", self.models.fit)(
            state.agent.seeds,
            state.buffer,
            state.model,
            state.model_adam,
            tf.constant(first),
            tf.constant(number),
            tf.constant(filled),
        )
        return state._replace(model=weights, model_adam=adam), {}

    def _run_measure(self, state: DynaState, first: int, number: int) -> tuple[DynaState, Reports]:
        """Measures the model on held-out transitions and starts episodes in it."""
        iteration = self.schedule.iteration("measure", first)
        before = self.schedule.ends["plan"][iteration] - self.schedule.planned[iteration]
        planning, reports = self._program("measure", self.begin_planning)(
            state,
            tf.constant(before),
            tf.constant(self.schedule.filled(iteration)),
            tf.constant(self.schedule.planned[iteration]),
        )
        return state._replace(planning=planning), {
            name: tf.expand_dims(x, 0) for name, x in reports.items()
        }

    def _run_plan(self, state: DynaState, first: int, number: int) -> tuple[DynaState, Reports]:
        """Learns in the model."""
        iteration = self.schedule.iteration("plan", first)
        weights, adam, made, planning, reports = self._program("plan", self.plan)(
            state,
            tf.constant(first),
            tf.constant(number),
            tf.constant(self.schedule.boundaries[iteration]),
            tf.constant(self.schedule.filled(iteration)),
        )
        # Acting goes on where it was in the true environment.
        agent = state.agent._replace(weights=weights, adam=adam)
        return state._replace(agent=agent, made=made, planning=planning), reports

    def _program(self, name: str, function: Callable[..., Any]) -> Any:
        def make() -> Any:
            return tf.function(function, jit_compile=True, autograph=False)

        fields = structure(self.config, self.per_member)
        read = {k: v for k, v in fields.items() if k.split(".")[0] in READ[name]}
        # Acting knows nothing of models, and fitting them nothing of the agent.
        agent = self.env.program_key() if name == "fit" else self.agent.key
        model = None if name == "update" else programs.model_key(self.model)
        key = (type(self), name, agent, json.dumps(read), model, self.keeps)
        return programs.cached(key, make)

    # What they compute.

    def act_and_learn(
        self, agent: AgentState, made: tf.Tensor, first: tf.Tensor, number: tf.Tensor
    ) -> tuple[AgentState, tf.Tensor, Any]:
        """Makes `number` updates in the environment, at most 32.

        Returns:
            The next state of the agent, the updates made, and, of each update, what it reports and
            the rows to keep.
        """
        learner = self.agent

        def body(i, state):
            agent, made = state
            index = first + i
            acting, rollout = learner.collect(agent, index, with_states=self.keeps)
            agent, reports = learner.after(agent, acting, rollout, index, made)
            return (agent, made + 1), (reports, self.rows(rollout) if self.keeps else ())

        (agent, made), kept = repeat_and_stack(
            number, body, (agent, made), maximum=UPDATES_PER_CALL
        )
        return agent, made, kept

    def rows(self, rollout: Rollout) -> Kept:
        """What is kept of a rollout `[steps, members, envs, ...]`: `[members, steps * envs, ...]`.

        Row `t * envs + e` is step `t` of environment `e`.
        """
        rows = Kept(rollout.state, rollout.action, rollout.next_state)
        return tf.nest.map_structure(by_member, rows)

    def begin_planning(
        self, state: DynaState, index: tf.Tensor, filled: tf.Tensor, number: tf.Tensor
    ) -> tuple[Planning, Reports]:
        """Measures the model on held-out transitions and starts episodes in it.

        Args:
            state: The state before planning.
            index: int32 scalar, planned updates that the run made before.
            filled: int32 scalar, rows that the buffer holds.
            number: int32 scalar, updates that are to be planned.

        Returns:
            The planning, and the head's metrics `[members]`, means over the ensemble.
        """
        c, members = self.config, state.made.shape[0]
        limit = tf.fill([members], number)
        finite = tf.ones([members], tf.bool)
        reports = {}
        if self.model is not None:
            metrics = self.models.measure(state.buffer, state.model, filled)
            reports = {name: metrics[:, i] for i, name in enumerate(self.metric_names)}
            finite = tf.reduce_all(tf.math.is_finite(metrics), axis=-1)
            if c.max_model_error is not None:
                error, bound = metrics[:, 0], c.max_model_error
                less = bound / error if c.high_error == "shrink" else tf.zeros_like(error)
                share = tf.where(error <= bound, 1.0, less)  # an error of 0 is within a bound of 0
                share = tf.where(finite, share, 0.0)
                limit = tf.cast(tf.cast(number, tf.float32) * share, tf.int32)
        bounds = state.planning.bounds
        if bounds and self.env.encoding_bounds() is None:
            bounds = self._seen_bounds(state.buffer, filled)
        env = self._imagined(state, bounds, filled)
        shape = [c.agent.num_environments, env.num_uniforms]
        uniforms = member_uniforms(state.agent.seeds, Purpose.RESETS, -1 - index, shape)
        planning = Planning(
            acting=start_acting(env, uniforms),
            reference=self._actor(state.agent.weights) if self._bounded else [],
            bounds=bounds,
            limit=limit,
            made=tf.zeros_like(limit),
            finite=finite,
        )
        return planning, {**reports, "finite": finite}

    def plan(
        self,
        state: DynaState,
        index: tf.Tensor,
        number: tf.Tensor,
        updates: tf.Tensor,
        filled: tf.Tensor,
    ) -> tuple[Weights, AdamState, tf.Tensor, Planning, Reports]:
        """Makes `number` updates in the model, at most 32.

        Args:
            state: The state before them.
            index: int32 scalar, planned updates that the run made before.
            number: int32 scalar.
            updates: int32 scalar, updates that the run made in the environment.
            filled: int32 scalar, rows that the buffer holds.
        """
        env = self._imagined(state, state.planning.bounds, filled)
        # That of the update before.
        rate = state.agent.adam.settings.learning_rate(updates - 1)

        def body(i, carry):
            agent, made, planning = carry
            carry = self._planned_update(agent, made, planning, env, -1 - (index + i), rate)
            planning = carry[2]
            return carry, {
                "limit": planning.limit,
                "made": planning.made,
                "imagined_return": mean_of_known(planning.acting.last_return),
                "finite": planning.finite,
            }

        carry = (state.agent, state.made, state.planning)
        (agent, made, planning), reports = repeat_and_stack(
            number, body, carry, maximum=UPDATES_PER_CALL
        )
        return agent.weights, agent.adam, made, planning, reports

    def _planned_update(
        self,
        agent: AgentState,
        made: tf.Tensor,
        planning: Planning,
        env: Environment,
        key: tf.Tensor,
        rate: tf.Tensor,
    ) -> tuple[AgentState, tf.Tensor, Planning]:
        """One update in the model, undone for the members that may not make it."""
        start = agent._replace(acting=planning.acting)
        acting, rollout = self.agent.collect(start, key, env)
        after, reports = self.agent.learned(start, acting, rollout, key, rate, made)
        allowed = planning.made < planning.limit
        finite = planning.finite & (reports["finite"] | ~allowed)
        limit = planning.limit
        if self._bounded:
            observation = by_member(rollout.observation)
            change = self._policy_change(planning.reference, after.weights, observation)
            within = change <= self.config.max_policy_change
            limit = tf.where(within | ~allowed, limit, planning.made)
            allowed &= within
        agent = select(allowed, after, start)
        one = tf.cast(allowed, tf.int32)
        planning = planning._replace(
            acting=agent.acting, limit=limit, made=planning.made + one, finite=finite
        )
        return agent, made + one, planning

    def _policy_change(
        self, before: list[tf.Tensor], weights: Weights, observation: tf.Tensor
    ) -> tf.Tensor:
        """Mean divergence KL(before || now), `[members]`, at `[members, rows, ...]`."""
        reference = weights._replace(trained={**weights.trained, "actor": before})
        population = self.agent.population
        old = population.outputs("actor", reference, observation)
        new = population.outputs("actor", weights, observation)
        return tf.reduce_mean(self.env.action_distribution.kl(old, new), axis=-1)

    def _imagined(
        self, state: DynaState, bounds: list[tf.Tensor], filled: tf.Tensor
    ) -> ImaginedEnvironment:
        """What planning acts in; states have leading dimensions `[members, envs]`."""
        starts = None
        if self.config.planning_starts == "buffer":

            def starts(uniforms):
                return take(state.buffer, any_rows(uniforms[..., -1], filled)).state

        limit = self.config.model_rollout_steps or self.env.max_episode_steps
        limit = min(limit, self.env.max_episode_steps)
        modelled = self.model is not None
        dynamics = self._dynamics(state.model, bounds) if modelled else self._true_dynamics
        return ImaginedEnvironment(self.env, dynamics, starts, limit)

    def _true_dynamics(self, state: Any, action: tf.Tensor, uniforms: tf.Tensor) -> tuple:
        needed = uniforms[..., : self.env.num_uniforms]
        following, reward, terminated = self.env.transition(state, action, needed)
        return following, reward, terminated, tf.zeros_like(terminated)

    def _dynamics(self, weights: Weights, bounds: list[tf.Tensor]) -> Dynamics:
        """Steps in the mean of each member's models; the true reward and termination of it."""
        weights = self.models.prepared(weights, self.config.agent.num_environments)

        def step(state, action, uniforms):
            encoding, disagreement = self.models.next_states(weights, state, action)
            bound = self.config.max_disagreement
            cut = tf.zeros_like(disagreement, tf.bool) if bound is None else disagreement > bound
            if bounds:
                low, high = (x[:, tf.newaxis] for x in bounds)  # of each member, for all copies
                kept = tf.clip_by_value(encoding, low, high)
                cut |= tf.reduce_any(kept != encoding, axis=-1)
                encoding = kept
            following = self.env.decode(encoding)
            reward = self.env.reward(state, action, following)
            return following, reward, self.env.is_terminal(following), cut

        return step

    def _declared_bounds(self, members: int) -> list[tf.Tensor]:
        """Bounds of imagined encodings `[members, d]`; empty where there are none.

        Real numbers need some: a model may leave the states that it was fitted to, and grow. They
        are those that the environment declares, or what the buffer has seen, which is filled in
        when planning begins.
        """
        if self.model is None or not isinstance(self.env.transition_head, RealHead):
            return []
        declared = self.env.encoding_bounds()
        dim = self.env.transition_head.representation.dim
        low, high = (np.zeros([dim]), np.zeros([dim])) if declared is None else declared
        if np.isinf(low).all() and np.isinf(high).all():
            return []
        return [tf.constant(np.tile(x, (members, 1)), tf.float32) for x in (low, high)]

    def _seen_bounds(self, buffer: Kept, filled: tf.Tensor) -> list[tf.Tensor]:
        """The smallest box around all encodings in the buffer and around their images.

        A group that permutes coordinates and changes their signs leaves it as it is. Another one,
        such as that of a triangle in the plane, leaves no box of coordinates as it is.
        """
        members, capacity = buffer.action.shape[:2]

        def encoded(states):
            flat = tf.nest.map_structure(lambda x: tf.reshape(x, [-1, *x.shape[2:]]), states)
            found = self.env.encode(flat)
            return tf.reshape(found, [members, capacity, found.shape[-1]])

        both = tf.stack([encoded(buffer.state), encoded(buffer.next_state)], axis=1)
        known = (tf.range(capacity) < filled)[:, tf.newaxis]
        low = tf.reduce_min(tf.where(known, both, np.inf), axis=[1, 2])
        high = tf.reduce_max(tf.where(known, both, -np.inf), axis=[1, 2])
        matrices = tf.constant(self.env.transition_head.representation.matrices, tf.float32)
        middle = tf.einsum("gij,mj->gmi", matrices, (low + high) / 2)
        half = tf.einsum("gij,mj->gmi", tf.abs(matrices), (high - low) / 2)
        return [tf.reduce_min(middle - half, axis=0), tf.reduce_max(middle + half, axis=0)]

    def _actor(self, weights: Weights) -> list[tf.Tensor]:
        return list(weights.trained["actor"])

    @property
    def _bounded(self) -> bool:
        return self.config.max_policy_change is not None

    # What is told of a run.

    def weights(self, state: DynaState) -> dict[str, list[tf.Tensor]]:
        """See `Learner.weights`; those of the transition model are `[members, ensemble, ...]`."""
        size = self.config.ensemble_size
        of_models = {
            role: [tf.reshape(w, [-1, size, *w.shape[1:]]) for w in tensors]
            for role, tensors in self.models.population.arrays(state.model).items()
        }
        return {**self.agent.weights(state.agent), **of_models}

    def progress(self, view: RunView) -> DynaProgress:
        """See `Learner.progress`."""
        ends, done = self.schedule.ends, view.done
        planned = done.get("plan", 0)
        measured = view.last.get("measure", {})
        error = math.nan
        if self.metric_names and self.metric_names[0] in measured:
            error = mean_of_sound(measured[self.metric_names[0]][-1])
        part = PARTS[view.stage]
        made = np.concatenate([s.made.numpy() for s in view.states])[: view.num_seeds]
        return DynaProgress(
            part=part,
            done=(done["update"] + planned) / (ends["update"][-1] + ends["plan"][-1]),
            timesteps=done["update"] * self.update_timesteps,
            total_timesteps=self.num_updates * self.update_timesteps,
            planned_timesteps=float(made.mean() - done["update"]) * self.update_timesteps,
            mean_return=last_mean_return(view),
            model_error=error,
            steps_per_second=0.0 if part == "fit" else view.rate * self.update_timesteps,
            compile_seconds=view.compile_seconds,
            evaluated=view.evaluated,
        )

    def scalars(self, stage: str, first: int, reports: Reports) -> Iterator[tuple[str, float, int]]:
        """See `Learner.scalars`."""
        if stage == "update":
            yield from self.agent.scalars(stage, first, reports)
            return
        step = self.schedule.boundaries[self.schedule.iteration(stage, first)]
        step *= self.update_timesteps
        if stage == "measure":
            for name in self.metric_names:
                yield f"model/{name}", mean_of_sound(reports[name][-1]), step
        steps = len(reports.get("made", ()))
        # An iteration's planning may be several calls: told once, at its end.
        if stage == "plan" and first + steps in self.schedule.ends["plan"]:
            yield "planning/updates", float(reports["made"][-1].mean()), step
            yield "planning/imagined_return", mean_of_sound(reports["imagined_return"][-1]), step

    def trouble(self, stage: str, index: int, state: DynaState, member: int) -> Trouble:
        """See `Learner.trouble`."""
        if stage == "update":
            return self.agent.trouble(stage, index, state.agent, member)
        updates = self.schedule.boundaries[self.schedule.iteration(stage, index)]
        what = "a loss, gradient or weight is infinite or NaN in planning"
        if stage == "measure":
            what = "its transition model's error on held-out transitions is infinite or NaN"
        return Trouble(
            what,
            f"after timestep {updates * self.update_timesteps:,}",
            updates,
            "A smaller model_learning_rate or learning_rate often helps.",
        )

    def result(self, outcome: Outcome) -> DynaResult:
        """See `Learner.result`."""
        schedule, count = self.schedule, len(outcome.seeds)
        iterations = schedule.iterations(outcome.done)
        made = np.zeros([iterations, count], np.int32)
        returns = np.full([iterations, count], np.nan, np.float32)
        metrics = {n: np.full([iterations, count], np.nan, np.float32) for n in self.metric_names}
        for i in range(iterations):
            if schedule.planned[i]:
                last = schedule.ends["plan"][i] - 1
                made[i] = outcome.reported("plan", "made")[last]
                found = outcome.reported("plan", "imagined_return")[last]
                returns[i] = np.where(made[i] > 0, found, np.nan)
                for name, rows in metrics.items():
                    rows[i] = outcome.reported("measure", name)[schedule.ends["measure"][i] - 1]
        ends = np.array(schedule.boundaries[:iterations], int) * self.update_timesteps
        seconds = dict.fromkeys(PARTS.values(), 0.0)
        for stage, spent in outcome.seconds.items():
            seconds[PARTS[stage]] += spent
        fields = self.agent.fields(outcome)
        return DynaResult(
            **{**fields, "config": self.config, "networks": self.networks},
            planning_timesteps=ends,
            planned_updates=made.T,
            imagined_returns=returns.T,
            model_metrics={name: rows.T for name, rows in metrics.items()},
            seconds=seconds,
        )

    def write(self, folder: RunFolder, outcome: Outcome, result: Any) -> None:
        """Writes what the agent writes, and `planning.csv`, one row per seed and iteration."""
        self.agent.write(folder, outcome, result)
        header = ["seed", "timestep", "planned_timesteps", "imagined_return", *result.model_metrics]
        rows = [
            [
                seed,
                int(timestep),
                int(result.planned_updates[i, j]) * self.update_timesteps,
                f"{result.imagined_returns[i, j]:.6g}",
                *(f"{values[i, j]:.6g}" for values in result.model_metrics.values()),
            ]
            for i, seed in enumerate(result.seeds)
            for j, timestep in enumerate(result.planning_timesteps)
        ]
        folder.write_rows(header, rows, "planning.csv")
