"""`Schedule` against a run that is played step by step from what its config says."""

import math
from fractions import Fraction

import numpy as np
import pytest

from tf_equirl.agents import PPOConfig
from tf_equirl.dyna import DynaConfig
from tf_equirl.dyna.schedule import Schedule


def random_config(rng) -> DynaConfig:
    environments, steps = int(rng.integers(1, 5)), int(rng.integers(10, 20))
    size = environments * steps
    updates = int(rng.integers(1, 13))
    agent = PPOConfig(
        num_environments=environments,
        rollout_steps=steps,
        num_minibatches=1,
        total_timesteps=size * updates + int(rng.integers(size)),
    )
    return DynaConfig.from_flat(
        **{k: v for k, v in agent.to_json().items() if v is not None},
        planning_ratio=float(rng.choice([0, 0.07, 0.29, 0.3, 0.5, 1, 1.5, 2.7, 4])),
        dyna_iterations=int(rng.integers(1, updates + 1)),
        warmup_timesteps=int(rng.choice([0, 0, 1, size, 3 * size, 5 * size + 1, 99 * size])),
        buffer_size=rng.choice([None, size, 3 * size + 1, 99 * size]),
        model_epochs=float(rng.choice([0.01, 0.5, 3, 10])),
        max_model_steps=rng.choice([None, 1, 7, 400]),
        model_batch_size=int(rng.integers(1, 40)),
    )


def played(config: DynaConfig, fits: bool) -> list[tuple[str, int, int]]:
    """Every single step of a run: its stage, its iteration, and the rows of the buffer then."""
    size, count = config.agent.batch_size, config.agent.total_timesteps // config.agent.batch_size
    ratio, parts = Fraction(str(config.planning_ratio)), config.dyna_iterations
    steps, iteration, due, rows = [], 0, 0, 0
    for update in range(1, count + 1):
        steps.append(["update", iteration, None])
        # The buffer has room for whole updates.
        room = config.buffer_size or count * size
        rows = min(rows + size, count * size, room // size * size)
        # The first update that makes up another part of the run ends it.
        if Fraction(update + 1) <= Fraction((iteration + 1) * count, parts):
            continue
        planned, due = math.floor(ratio * update) - due, math.floor(ratio * update)
        if update * size >= config.warmup_timesteps and planned:
            if fits:
                fitted = rows // 10 * 9  # one in ten is held out
                number = max(1, math.ceil(config.model_epochs * fitted / config.model.batch_size))
                steps += [["fit", iteration, rows]] * min(number, config.max_model_steps or number)
            steps.append(["measure", iteration, rows])
            steps += [["plan", iteration, rows]] * planned
        iteration += 1
    assert iteration == parts
    return [tuple(step) for step in steps]


@pytest.mark.parametrize("seed", range(40))
def test_a_schedule_is_the_run_that_its_config_describes(seed):
    rng = np.random.default_rng(seed)
    kinds = set()
    for _ in range(5):
        config, fits = random_config(rng), bool(rng.integers(2))
        schedule, expected = Schedule(config, fits), played(config, fits)
        stages = ["update", "fit", "measure", "plan"]
        if not config.planning_ratio:
            stages = ["update"]
        elif not fits:
            stages.remove("fit")
        done, order = dict.fromkeys(stages, 0), []
        while (ahead := schedule.ahead(done)) is not None:
            stage, wanted = ahead
            assert wanted > 0
            number = int(rng.integers(1, wanted + 1))  # a call may make fewer
            finished = expected[len(order)][1]
            assert schedule.iterations(done) == finished
            for k in range(number):
                first = done[stage] + k
                iteration = schedule.iteration(stage, first)
                rows = None if stage == "update" else schedule.filled(iteration)
                order.append((stage, iteration, rows))
            # Never beyond the iteration: what follows waits for it.
            assert {step[1] for step in order[-number:]} == {finished}
            done[stage] += number
        assert order == expected
        assert schedule.iterations(done) == config.dyna_iterations
        totals = {stage: schedule.ends[stage][-1] for stage in stages}
        assert done == totals
        # The whole of the planning, where no warm-up forbids some of it.
        if not config.warmup_timesteps and config.planning_ratio:
            ratio = Fraction(str(config.planning_ratio))
            assert done["plan"] == math.floor(ratio * config.agent.num_updates)
        kinds |= {stage for stage, *_ in order}
    assert "update" in kinds


def test_the_number_of_gradient_steps():
    # 27 of 30 rows are trained on, 54 of 60, 81 of 90 from then on; ten epochs of batches of 16.
    config = DynaConfig.from_flat(
        num_environments=2,
        rollout_steps=15,
        num_minibatches=1,
        total_timesteps=30 * 7,
        dyna_iterations=7,
        buffer_size=99,
        model_batch_size=16,
    )
    assert Schedule(config, fits=True).fitted == [17, 34, 51, 51, 51, 51, 51]
    assert Schedule(config, fits=False).fitted == [0] * 7


def test_a_step_behind_the_last_belongs_to_the_last_iteration():
    """Compilation asks for no steps at all, wherever a run is."""
    config = DynaConfig.from_flat(
        num_environments=2,
        rollout_steps=15,
        num_minibatches=1,
        total_timesteps=90,
        dyna_iterations=3,
    )
    schedule = Schedule(config, fits=True)
    for stage, ends in schedule.ends.items():
        assert [schedule.iteration(stage, first) for first in (0, ends[-1], 10**6)] == [0, 2, 2]
