"""The ways to use a symmetry are tuned alike, and what is told is what the policies reach."""

import dataclasses
import json

import numpy as np
import pytest

from tf_equirl import envs, models
from tf_equirl.evaluation import evaluate
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.race import TABLES
from tf_equirl.reproductions.race.outputs import run_ways, write_ways
from tf_equirl.reproductions.race.ways import (
    NUM_SEEDS,
    SEARCH_SEEDS,
    TRACKS,
    play,
    played_markdown,
    ways,
)
from tf_equirl.reproductions.thesis.outputs import Work

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.mark.parametrize("environment", ["Acrobot-v1", "Pendulum-v1"])
def test_the_ways_differ_in_nothing_else(environment):
    contest = ways(environment)
    mlp, orbit, gcnn = (column.config for column in contest.experiment.columns)
    assert orbit == dataclasses.replace(mlp, augmentation="orbit")
    kinds = {"actor": "mlp", "critic": "mlp"}
    budgets = {"match_parameters": None, "match_critic_parameters": None}
    assert dataclasses.replace(gcnn, **kinds, **budgets) == mlp
    env = envs.make(environment)
    for ours, theirs in zip(gcnn.networks(env), mlp.networks(env), strict=True):
        assert trained_parameters(ours) == pytest.approx(trained_parameters(theirs), rel=0.05)
    searches = [contest.search(column) for column in contest.experiment.columns]
    assert len({(s.trials, s.seeds, tuple(s.space.items())) for s in searches}) == 1
    assert not set(SEARCH_SEEDS) & set(range(NUM_SEEDS))
    assert {f"ways-{name.lower()}" for name in TRACKS} <= set(TABLES)
    assert all(track.timesteps[-1] == mlp.total_timesteps for track in TRACKS.values())


@pytest.mark.thorough
def test_small_ways_are_run_played_and_written(tmp_path):
    contest = ways("Pendulum-v1")
    small = {
        "hidden_units": (8,),
        "num_environments": 2,
        "rollout_steps": 200,
        "num_minibatches": 2,
        "num_epochs": 1,
        "total_timesteps": 1600,
        "match_parameters": None,
        "match_critic_parameters": None,
    }
    columns = tuple(
        dataclasses.replace(column, config=dataclasses.replace(column.config, **small))
        for column in contest.experiment.columns
    )
    experiment = dataclasses.replace(
        contest.experiment, columns=columns, timesteps=(800, 1600), levels=(-2000.0, 0.0)
    )
    contest = dataclasses.replace(
        contest, experiment=experiment, trials=4, search_seeds=(1000, 1001)
    )
    finish, played = run_ways(contest, Work(tmp_path, num_seeds=2), episodes=4)
    assert list(played) == [
        *("MLP", "MLP, averaged", "MLP, all images", "MLP, all images, averaged"),
        "G-CNN, invariant critic",
    ]
    env, folder = envs.make("Pendulum-v1"), tmp_path / "ways-pendulum-v1"
    mlp = next(iter(finish.results.values()))
    averaged = models.averaged(mlp.actor(1), env.symmetry, continuous=True)
    assert played["MLP"][1] == evaluate(mlp.actor(1), env, 4).mean
    assert played["MLP, averaged"][1] == evaluate(averaged, env, 4).mean
    assert played["MLP, averaged"][1] != played["MLP"][1]
    *_, told, files = write_ways(contest, (finish, played), tmp_path / "ways")
    assert "**What was learned**" in told and "**Tuning.**" in told and "ways.md" in files
    page = (tmp_path / "ways.md").read_text()
    assert "seconds for 2 seeds" in page and "networks instead of data" in page
    # What was played is read again, and not played.
    file = folder / "played.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({key: [7.0, 9.0] for key in kept}))
    assert all(x.tolist() == [7, 9] for x in play(experiment, finish.results, folder, 4).values())


def test_differences_are_of_the_same_seeds():
    text = played_markdown({"A": np.array([1.0, 5.0, 9.0]), "B": np.array([2.0, 6.0, 10.0])}, 3)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[-1].split("|")[-2].strip() == "+1.00 [+1.00, +1.00] +inf SE"
    assert "5.0 ± 4.6" in rows[-2] and "minus A" in text
    assert "3 episodes each" in text
