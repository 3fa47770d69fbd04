import csv
import dataclasses
import io
import re

import numpy as np
import pytest

from tf_equirl import envs, experiments
from tf_equirl.agents import PPOConfig
from tf_equirl.reproductions import thesis

pytestmark = pytest.mark.usefixtures("without_xla")

# The model-free agent of test_dyna_experiments.py: in one process they share the program.
SMALL = PPOConfig(actor="mlp", hidden_units=(8, 8), rollout_steps=16, total_timesteps=640)


def _experiment(*configs):
    """A small experiment with the given agents."""
    columns = tuple(
        experiments.Column(f"agent-{i}", f"Agent {i}", config, ((30.5, 2.0),) if i == 0 else ())
        for i, config in enumerate(configs)
    )
    return experiments.Experiment("small", "Small", "CartPole", (640,), (5.0, 499.0), columns)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An experiment, its runs and their folder."""
    wider = dataclasses.replace(SMALL, hidden_units=(9, 9))
    experiment = _experiment(SMALL, wider)
    folder = tmp_path_factory.mktemp("runs")
    return experiment, experiment.train(folder, num_seeds=8, seeds_per_chunk=8), folder


class _Interrupted:
    """A call of the trainer, interrupted by Ctrl-C at the first attempt of the second chunk."""

    def __init__(self):
        self.attempts, self.first_updates = {}, {}

    def __call__(self, trainer, env, config, seeds, run_dir, resume):
        attempt = self.attempts[run_dir.name] = self.attempts.get(run_dir.name, 0) + 1
        updates = []

        def stop(progress):
            updates.append(progress.updates)
            second = run_dir.name == "seeds-4-6" and attempt == 1
            if second and 0 < progress.updates < progress.num_updates:
                raise KeyboardInterrupt

        result = trainer(env, config, seeds, run_dir, resume=resume, on_progress=stop)
        self.first_updates[run_dir.name] = updates[0]
        return result


def test_chunks_resume_where_they_were_interrupted_and_change_no_number(trained, tmp_path):
    train = _Interrupted()
    experiment = _experiment(SMALL)
    with pytest.raises(KeyboardInterrupt):
        experiment.train(tmp_path, num_seeds=7, seeds_per_chunk=4, call=train)
    results = experiment.train(tmp_path, num_seeds=7, seeds_per_chunk=4, call=train)
    assert train.attempts == {"seeds-0-3": 2, "seeds-4-6": 2}
    assert train.first_updates == {"seeds-0-3": 10, "seeds-4-6": 1}  # they did not start anew
    (joined,) = results.values()
    whole = next(iter(trained[1].values()))  # of eight seeds at once
    assert joined.seeds == whole.seeds[:7] and joined.config == whole.config
    np.testing.assert_array_equal(joined.returns, whole.returns[:7])
    np.testing.assert_array_equal(joined.first_returns, whole.first_returns[:7])
    for name, values in whole.metrics.items():
        # The sums that are reported, unlike those that train, may be added in another order.
        np.testing.assert_allclose(joined.metrics[name], values[:7], rtol=1e-6, atol=1e-6)
    assert list(joined.weights) == list(whole.weights) == ["actor", "critic"]
    for role, weights in whole.weights.items():
        for ours, theirs in zip(joined.weights[role], weights, strict=True):
            # Blocks of four and eight seeds round alike on processors with AVX-512; with AVX2 alone
            # one weight in a hundred differs by 1e-8.
            np.testing.assert_allclose(ours, theirs[:7], rtol=0, atol=1e-6)
    state = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(joined.actor(5)(state), whole.actor(5)(state), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("num_seeds", "chunks"),
    [(7, ["0-3", "4-6"]), (6, ["0-5"]), (5, ["0-4"]), (8, ["0-3", "4-7"]), (2, ["0-1"])],
)
def test_a_rest_of_one_or_two_seeds_joins_the_chunk_before(num_seeds, chunks, trained, tmp_path):
    """So few alone would be rounded otherwise."""
    whole, given = next(iter(trained[1].values())), []

    def train(env, config, seeds, run_dir, resume):
        given.append(run_dir.name)
        rows = list(seeds)
        return dataclasses.replace(
            whole,
            seeds=tuple(seeds),
            returns=whole.returns[rows],
            first_returns=whole.first_returns[rows],
            metrics={name: values[rows] for name, values in whole.metrics.items()},
            weights={role: [w[rows] for w in arrays] for role, arrays in whole.weights.items()},
        )

    joined = experiments.train_in_chunks("CartPole", SMALL, num_seeds, tmp_path, 4, train)
    assert given == [f"seeds-{chunk}" for chunk in chunks]
    assert joined.seeds == tuple(range(num_seeds))
    np.testing.assert_array_equal(joined.returns, whole.returns[:num_seeds])


def test_a_folder_with_another_run_is_not_used(trained):
    experiment, _, folder = trained
    other = _experiment(dataclasses.replace(SMALL, learning_rate=1e-3))
    with pytest.raises(ValueError, match="differs in learning_rate"):
        other.train(folder, num_seeds=8, seeds_per_chunk=8)
    for arguments in ({"num_seeds": 0}, {"seeds_per_chunk": 0}, {"num_seeds": 1.5}):
        with pytest.raises(ValueError, match="must be a positive integer"):
            experiment.train(folder, **arguments)


def test_the_csv_holds_every_statistic(trained):
    experiment, results, _ = trained
    rows = experiments.tidy_rows(experiment, results)
    read = list(csv.DictReader(io.StringIO(experiments.to_csv(rows))))
    keys = [(row["timestep"], row["agent"]) for row in read]
    assert keys == [(t, a) for t in ("640", "whole run") for a in ("Agent 0", "Agent 1")]
    one, other = results.values()
    values, others = (experiments.return_at(r, 640) for r in (one, other))
    assert float(read[0]["mean"]) == values.mean()
    assert float(read[0]["error"]) == 2 * values.std(ddof=1) / np.sqrt(8)
    assert read[0]["seeds"] == "8"
    assert (read[0]["thesis"], read[0]["thesis_error"]) == ("30.5", "2.0")
    assert (read[1]["thesis"], read[1]["thesis_error"]) == ("", "")
    np.testing.assert_allclose(float(read[1]["minus_baseline"]), (others - values).mean())
    worst = values[np.argmin(experiments.area_under_curve(one))]
    assert float(read[0]["worst_tenth"]) == worst
    assert float(read[2]["mean"]) == experiments.area_under_curve(one).mean()


def test_the_report_shows_our_numbers_beside_the_thesis(trained):
    experiment, results, _ = trained
    rows = experiments.tidy_rows(experiment, results)
    report = experiments.to_markdown(experiment, results, rows)
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in report.splitlines()]
    one, other = results.values()
    mean, error = experiments.mean_and_error(experiments.return_at(one, 640))
    assert ["640", "thesis", "30.5 ± 2.0", ""] in cells
    assert any(c[1:3] == ["mean", f"**{experiments.rounded(mean, error)}**"] for c in cells)
    reached = f"{experiments.first_timestep_reaching(one, 5.0):,}"
    assert any(c[:2] == ["5", reached] for c in cells)
    assert ["499", "never", "never"] in cells
    # (4 * 8 + 8) + (8 * 8 + 8) + (8 * 2 + 2) and so on.
    assert ["parameters, actor", "130", "155 (+19.2 %)"] in cells
    assert re.search(r"Agent 1 − Agent 0 +\| [+-]", report)
    assert experiments.parameter_counts(other) == (155, 145)


def test_runs_of_different_kinds_are_not_joined(trained):
    _, results, _ = trained
    one, other = results.values()
    with pytest.raises(ValueError, match="must share environment and config"):
        experiments.join_seeds([one, other])
    with pytest.raises(ValueError, match="must not share seeds"):
        experiments.join_seeds([one, one])
    with pytest.raises(ValueError, match="at least one run"):
        experiments.join_seeds([])


@pytest.mark.parametrize("make", [thesis.cartpole, thesis.catch])
def test_the_thesis_experiments_compare_equal_sizes(make):
    networks = {}  # of a column: the schedules have the same
    for schedule in thesis.SCHEDULES:
        experiment = make(schedule)
        for column in experiment.columns:
            config = column.config
            assert config.anneal_learning_rate == (schedule == "annealed")
            assert config.total_timesteps == experiment.timesteps[-1]
            assert len(column.thesis) in (0, len(experiment.timesteps))
            config = dataclasses.replace(config, anneal_learning_rate=False)
            assert networks.setdefault(column.name, config) == config
    env = envs.make(experiment.environment)
    sizes = [[m.count_params() for m in c.networks(env)] for c in networks.values()]
    np.testing.assert_allclose(sizes, [sizes[0]] * len(sizes), rtol=0.1)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="constant, annealed. Received: schedule='cosine'"):
        thesis.catch("cosine")
