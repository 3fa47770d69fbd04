"""Searches: which trials there are, what they find, and that they go on where they were."""

import dataclasses
import json

import numpy as np
import pytest

from tf_equirl import experiments
from tf_equirl.agents import PPOConfig, train_ppo
from tf_equirl.dyna import DynaConfig
from tf_equirl.experiments import tuning
from tf_equirl.experiments.tuning import Search, Trial, Tuned
from tf_equirl.experiments.tuning.samplers import RandomSearch, SuccessiveHalving, rung_sizes
from tf_equirl.experiments.tuning.search import (
    environment_steps,
    gradient_steps,
    shortened,
    with_values,
)
from tf_equirl.training.search_space import (
    Choice,
    LogUniform,
    Uniform,
    declared_spaces,
    draw,
    parse_space,
    space_from_json,
)

pytestmark = pytest.mark.usefixtures("without_xla")

CONFIG = PPOConfig(
    actor="mlp",
    hidden_units=(8,),
    rollout_steps=16,
    num_minibatches=2,
    num_epochs=2,
    total_timesteps=64 * 8,
)
SPACE = {"learning_rate": LogUniform(1e-4, 1e-1), "gae_lambda": Choice((0.5, 0.95))}


def search(**fields):
    return Search(
        **{
            "env": "CartPole",
            "config": CONFIG,
            "space": SPACE,
            "trials": 4,
            "seeds": (1000, 1001),
            **fields,
        }
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "random"
    return search().run(folder), folder


# Spaces


@pytest.mark.parametrize("space", [Uniform(-1.0, 3.0), LogUniform(1e-4, 1e-1), Choice((1, "a"))])
def test_a_space_goes_through_json_and_has_its_values(space):
    assert space_from_json(json.loads(json.dumps(space.to_json()))) == space
    rng = np.random.default_rng(0)
    values = [draw({"x": space}, rng)["x"] for _ in range(1000)]
    if isinstance(space, Choice):
        assert {*values} == {1, "a"} and abs(values.count(1) - 500) < 80
        assert [space.place(v) for v in space.values] == [0.0, 1.0]
        return
    assert min(values) >= space.low and max(values) <= space.high
    middle = np.sqrt(space.low * space.high) if isinstance(space, LogUniform) else 1.0
    assert abs(np.mean(np.array(values) < middle) - 0.5) < 0.08
    assert space.at(0.0) == pytest.approx(space.low)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(1.0, 1.0), "`high` must be larger than low=1.0"),
        (lambda: Uniform(0.0, float("nan")), "`high` must be a finite number"),
        (lambda: LogUniform(0.0, 1.0), "`low` must be positive"),
        (lambda: Choice(()), "`values` must be a list of different plain values, at least one"),
        (lambda: Choice((1, 1)), "`values` must be a list of different plain"),
        (lambda: parse_space("x", "1..a"), "the space of x must be low..high"),
        (lambda: space_from_json({"kind": "normal"}), "a space must be one of uniform"),
    ],
)
def test_spaces_that_are_none_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_spaces_are_read_as_they_are_written():
    declared = declared_spaces(CONFIG)
    rate = parse_space("learning_rate", "1e-3..1e-1", declared["learning_rate"])
    assert rate == LogUniform(1e-3, 1e-1)
    assert parse_space("discount", "0.9..1", declared["discount"]) == Uniform(0.9, 1.0)
    values = parse_space("x", "1|0.5|true|none|mlp").values
    assert values == (1, 0.5, True, None, "mlp") and values[2] is True


def test_declared_spaces_hold_values_that_their_fields_take():
    for config in (CONFIG, DynaConfig()):
        spaces = declared_spaces(config)
        assert set(spaces) <= set(config.flat() if hasattr(config, "flat") else vars(config))
        for name, space in spaces.items():
            shares = (0.0, 0.5, 1 - 1e-9)
            values = [space.at(share) for share in shares]
            if isinstance(space, Choice):
                values = space.values
            for value in values:
                changed = with_values(config, {name: value})
                flat = changed.flat() if hasattr(changed, "flat") else vars(changed)
                assert flat[name] == value
    assert "model_learning_rate" in declared_spaces(DynaConfig())
    assert "model_learning_rate" not in declared_spaces(DynaConfig(model=None))


# Costs


def test_what_a_trial_costs_is_what_it_makes():
    assert environment_steps(CONFIG) == 512
    assert gradient_steps(CONFIG) == 8 * 2 * 2
    from tf_equirl.dyna import train_dyna

    config = DynaConfig(agent=CONFIG, planning_ratio=1.5, dyna_iterations=4, model=None)
    result = train_dyna("CartPole", config, [0])
    made = 8 + int(result.planned_updates.sum())
    assert gradient_steps(config) == made * 4
    learning = DynaConfig(agent=CONFIG, planning_ratio=1.5, dyna_iterations=4, max_model_steps=3)
    assert gradient_steps(learning) == made * 4 + 4 * 3


def test_a_shorter_run_plans_as_often_on_its_way():
    config = DynaConfig(agent=CONFIG, dyna_iterations=4)
    half = shortened(config, 0.5)
    assert half.agent.total_timesteps == 256 and half.dyna_iterations == 2
    assert shortened(CONFIG, 1e-9).num_updates == 1
    assert shortened(config, 1.0) is config


@pytest.mark.parametrize("method", ["random", "halving"])
def test_budgets_bound_the_trials(method):
    steps = 512 * 2  # of a trial, over both seeds
    fields = {"method": method, "trials": 32, "reduction": 4, "rungs": 2}
    runs = {"random": 5, "halving": 2 * 5}[method]  # half of the trials' length is in each rung
    assert search(**fields, max_environment_steps=5 * steps).affordable_trials() in (runs, runs + 1)
    assert search(**fields, max_gradient_steps=5 * 64).affordable_trials() in (runs, runs + 1)
    with pytest.raises(
        ValueError, match=r"max_environment_steps must be at least that of one trial, 1,024 over 2"
    ):
        search(method=method, max_environment_steps=steps // 20)


def test_the_costliest_trial_of_a_space_counts():
    space = {"num_epochs": Choice((1, 8))}
    assert search(space=space, max_gradient_steps=8 * 8 * 2 * 2 * 3).affordable_trials() == 3


# Samplers


def test_random_trials_depend_on_the_seed_and_not_on_how_many_there_are():
    few, many = (RandomSearch(SPACE, n, seed=3).round(0, ()).trials for n in (3, 8))
    assert few == {k: many[k] for k in range(3)}
    assert RandomSearch(SPACE, 3, seed=4).round(0, ()).trials != few
    assert RandomSearch(SPACE, 3, seed=3).round(1, ()) is None


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [((32, 4, 3), [32, 8, 2]), ((32, 4, 2), [32, 8]), ((7, 4, 3), [7]), ((9, 3, 9), [9, 3])],
)
def test_rungs_get_smaller_until_nothing_is_left_to_halve(arguments, sizes):
    assert rung_sizes(*arguments) == sizes


def test_the_best_go_on_to_longer_runs():
    sampler = SuccessiveHalving(SPACE, 8, 0, reduction=4, rungs=2)
    first = sampler.round(0, ())
    assert (first.rung, first.share, len(first.trials)) == (0, 0.25, 8)
    scores = [3.0, None, 7.0, 1.0, 2.0, 9.0, 0.0, 5.0]
    trials = [Trial(k, 0, {}, 128, (x,), 0, 0, 0.0) for k, x in enumerate(scores)]
    second = sampler.round(1, trials)
    assert (second.rung, second.share, list(second.trials)) == (1, 1.0, [2, 5])
    assert second.trials[5] == first.trials[5]
    assert sampler.round(2, trials) is None


# Searches


def test_trials_are_those_of_runs_of_their_own(found):
    tuned, _ = found
    drawn = RandomSearch(SPACE, 4, 0).round(0, ()).trials
    assert [dict(t.values) for t in tuned.trials] == list(drawn.values())
    for trial in tuned.trials:
        result = train_ppo("CartPole", with_values(CONFIG, trial.values), (1000, 1001))
        expected = experiments.area_under_curve(result)
        np.testing.assert_allclose(trial.scores, expected, rtol=1e-5)  # of another block size
        assert trial.score == pytest.approx(np.mean(expected))
        assert (trial.timesteps, trial.environment_steps) == (512, 1024)
        assert trial.gradient_steps == 2 * 32
    assert tuned.best.score == max(t.score for t in tuned.trials)
    assert tuned.best_config == with_values(CONFIG, tuned.best.values)
    assert tuned.environment_steps == 4 * 1024


def test_the_folder_has_what_was_found_and_no_checkpoint(found):
    tuned, folder = found
    written = json.loads((folder / "trials.json").read_text())
    assert [t["scores"] for t in written] == [list(t.scores) for t in tuned.trials]
    assert not list(folder.rglob("checkpoint.npz"))
    assert len(list(folder.rglob("results.csv"))) == 4
    assert Search.load(folder) == search()


@pytest.mark.parametrize("method", ["random", "halving", "optuna"])
def test_a_search_that_is_killed_goes_on_to_the_same_trials(method, tmp_path):
    if method == "optuna":
        pytest.importorskip("optuna", reason="the extra `tune`")
    fields = {"method": method, "trials": 8, "at_once": 4, "reduction": 4, "rungs": 2}
    whole = search(**fields).run(tmp_path / "whole")

    class Killed(BaseException):
        """As SIGKILL: nothing is saved after it."""

    def stops(progress):
        if progress.updates >= 2:
            raise KeyboardInterrupt

    def call(trainer, *arguments, **options):
        return trainer(*arguments, on_progress=stops, **options)

    def dies(trials):
        raise Killed

    with pytest.raises(KeyboardInterrupt):
        search(**fields).run(tmp_path / "killed", call=call)
    assert list((tmp_path / "killed").rglob("checkpoint.npz"))
    with pytest.raises(Killed):
        search(**fields).run(tmp_path / "killed", resume=True, on_trials=dies)
    again = search(**fields).run(tmp_path / "killed", resume=True)
    assert len(whole.trials) == (10 if method == "halving" else 8)
    assert [(t.number, t.rung, t.values, t.scores) for t in again.trials] == [
        (t.number, t.rung, t.values, t.scores) for t in whole.trials
    ]
    assert again.best_config == whole.best_config


@pytest.mark.thorough
def test_widths_are_searched_and_read_again(tmp_path):
    space = {"hidden_units": Choice(((4,), (8, 4)))}
    tuned = search(space=space, trials=4).run(tmp_path / "search")
    assert {t.values["hidden_units"] for t in tuned.trials} == {(4,), (8, 4)}
    assert Search.load(tmp_path / "search").space == space
    again = search(space=space, trials=4).run(tmp_path / "search", resume=True)
    assert again == tuned
    assert tuned.best_config.hidden_units == tuned.best.values["hidden_units"]
    tuning.plot_search(again, space, tmp_path / "search.png")


def test_nothing_is_removed_before_its_scores_are_written(tmp_path, monkeypatch):
    from tf_equirl.experiments.tuning import search as module

    def fails(file, trials):
        raise OSError("no space left")

    monkeypatch.setattr(module, "_write", fails)
    with pytest.raises(OSError, match="no space"):
        search().run(tmp_path / "search")
    assert list(tmp_path.rglob("checkpoint.npz"))


def test_trials_of_other_programs_are_trained_apart(tmp_path):
    space = {**SPACE, "num_epochs": Choice((1, 2))}
    trained = []

    def call(trainer, env, configs, *arguments, **options):
        trained.append([c.num_epochs for c in configs])
        return trainer(env, configs, *arguments, **options)

    tuned = search(space=space, trials=6).run(tmp_path / "search", call=call)
    assert sorted(len(set(epochs)) for epochs in trained) == [1, 1]
    assert sum(map(len, trained)) == len(tuned.trials) == 6
    assert [t.number for t in tuned.trials] == list(range(6))


def test_a_trial_that_becomes_infinite_is_the_worst(tmp_path):
    space = {"learning_rate": Choice((1e-3, 1e30))}
    with pytest.warns(RuntimeWarning, match="became non-finite"):
        tuned = search(space=space, trials=6).run(tmp_path / "search")
    failed = [t.failed for t in tuned.trials]
    assert failed == [t.values["learning_rate"] == 1e30 for t in tuned.trials]
    assert 0 < sum(failed) < 6 and tuned.best.values["learning_rate"] == 1e-3
    assert tuned.ranked()[-1].failed and tuned.ranked()[-1].score == -np.inf
    tuning.plot_search(tuned, space, tmp_path / "search.png")
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(ValueError, match="at least one trial must keep finite numbers"),
    ):
        search(space={"learning_rate": Choice((1e30, 1e31))}).run(tmp_path / "bad")


@pytest.mark.thorough
def test_dyna_is_searched_too(tmp_path):
    config = DynaConfig(
        agent=CONFIG,
        model=dataclasses.replace(DynaConfig().model, hidden_units=(8,)),
        planning_ratio=1.0,
        dyna_iterations=4,
        max_model_steps=3,
    )
    space = {"learning_rate": LogUniform(1e-3, 1e-2), "model_learning_rate": Choice((1e-3, 1e-2))}
    tuned = search(config=config, space=space, method="halving", rungs=2).run(tmp_path / "search")
    assert tuned.best_config.model.learning_rate == tuned.best.values["model_learning_rate"]
    assert tuned.best_config.agent.learning_rate == tuned.best.values["learning_rate"]
    assert Search.load(tmp_path / "search").config == config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"space": {}}, "space must name at least one hyperparameter"),
        ({"space": {"rate": Choice((1, 2))}}, "must be one of PPOConfig. Received: rate"),
        ({"space": {"learning_rate": Uniform(-1.0, 1.0)}}, "`learning_rate` must be a positive"),
        ({"space": {"learning_rate": 3}}, "`space` must be a dict of spaces by the names"),
        (
            {"config": None},
            "`config` must be a PPOConfig, a DQNConfig, another AgentC",
        ),
        ({"trials": 0}, "`trials` must be a positive integer"),
        ({"seeds": (1, 1)}, "`seeds` must be distinct"),
        ({"method": "grid"}, "`method` must be one of"),
        ({"objective": "best"}, "`objective` must be one of"),
        ({"reduction": 1}, "`reduction` must be an integer from 2"),
        ({"max_gradient_steps": 3}, "max_gradient_steps must be at least that of one trial, 64"),
        ({"env": "Cart"}, "Cart"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_any_work(fields, message):
    with pytest.raises(ValueError, match=message):
        search(**fields)


def test_a_folder_of_another_search_is_refused(found, tmp_path):
    _, folder = found
    with pytest.raises(ValueError, match="which holds another one; it differs in trials"):
        search(trials=5).run(folder, resume=True)
    with pytest.raises(ValueError, match="folder must be new unless the search is resumed"):
        search().run(folder)
    with pytest.raises(ValueError, match="folder must hold a search to resume"):
        search().run(tmp_path / "nothing", resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="folder must be new or empty, or hold this search"):
        search().run(tmp_path)
    (folder / "broken").mkdir()
    (folder / "broken" / "search.json").write_text("{")
    with pytest.raises(ValueError, match="search.json must be JSON"):
        Search.load(folder / "broken")
    (folder / "broken" / "search.json").write_text("{}")
    with pytest.raises(ValueError, match="search.json must describe a search"):
        Search.load(folder / "broken")


# What mattered


def _tuned(score, count=64):
    rng = np.random.default_rng(1)
    values = [draw(SPACE, rng) for _ in range(count)]
    trials = [
        Trial(k, 0, v, 512, (score(v, rng), score(v, rng)), 1, 1, 1.0) for k, v in enumerate(values)
    ]
    return Tuned(tuple(trials), CONFIG)


def test_what_matters_explains_the_scores_and_what_does_not_explains_nothing():
    shares = tuning.importance(_tuned(lambda v, rng: np.log(v["learning_rate"])), SPACE)
    assert shares["learning_rate"] > 0.85 and shares["gae_lambda"] < 0.1
    shares = tuning.importance(_tuned(lambda v, rng: v["gae_lambda"]), SPACE)
    assert shares["gae_lambda"] == pytest.approx(1.0) and shares["learning_rate"] < 0.1
    rng = np.random.default_rng(2)
    noise = [tuning.importance(_tuned(lambda *_: rng.normal()), SPACE) for _ in range(20)]
    assert np.mean([n["learning_rate"] for n in noise]) < 0.05
    few = tuning.importance(_tuned(lambda v, rng: 1.0, count=3), SPACE)
    assert np.isnan(few["learning_rate"])


def test_the_table_and_the_rows_have_the_best_first(found):
    tuned, _ = found
    table = tuning.trials_table(tuned, count=2)
    assert table.row_count == 2
    assert list(table.columns[0].cells)[0] == str(tuned.best.number)
    rows = tuning.trial_rows(tuned)
    assert [r["trial"] for r in rows] == [0, 1, 2, 3]
    assert float(rows[tuned.best.number]["score"]) == tuned.best.score
