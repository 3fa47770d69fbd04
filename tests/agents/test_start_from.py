"""Training that goes on from trained networks, wherever these are."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tf_equirl import models, zoo
from tf_equirl.agents import PPOConfig, load_result, train_ppo
from tf_equirl.dyna import DynaConfig, train_dyna

pytestmark = pytest.mark.usefixtures("without_xla")

CONFIG = PPOConfig(
    actor="mlp", hidden_units=(4,), rollout_steps=16, num_environments=2, total_timesteps=64
)
# A step of 1e-12 is far below half a unit in the last place of any weight but zero.
STILL = dataclasses.replace(CONFIG, learning_rate=1e-12)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "run"
    return folder, train_ppo("Catch", CONFIG, [3, 4], folder)


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


def assert_starts(result, role, wanted):
    """Every seed of a run that barely moves has the weights of a model."""
    for stacked, expected in zip(result.weights[role], wanted, strict=True):
        for member in stacked:
            np.testing.assert_allclose(member, expected, atol=1e-9)


def test_a_run_folder_and_a_result_by_their_best_or_a_given_seed(run, tmp_path):
    folder, result = run
    other = next(seed for seed in result.seeds if seed != result.best_seed)
    for start_from in (folder, str(folder), result):
        for start_seed, seed in ((None, result.best_seed), (other, other)):
            further = train_ppo(
                "Catch", STILL, [8, 9], start_from=start_from, start_seed=start_seed
            )
            assert_starts(further, "actor", weights(result.actor(seed)))
            assert_starts(further, "critic", weights(result.critic(seed)))
            assert not np.array_equal(further.returns[0], further.returns[1])


def test_a_keras_file_brings_an_actor_and_the_critic_is_of_the_seeds(run, tmp_path):
    _, result = run
    models.save(result.actor(4), tmp_path / "actor.keras")
    further = train_ppo("Catch", STILL, [8, 9], start_from=tmp_path / "actor.keras")
    assert_starts(further, "actor", weights(result.actor(4)))
    new = train_ppo("Catch", STILL, [8, 9])
    for one, other in zip(further.weights["critic"], new.weights["critic"], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_zoo_of_ones_own(tmp_path):
    own = tmp_path / "own"
    shutil.copytree(zoo.default_folder(), own)
    name = "catch-ppo-mlp"
    actor = weights(zoo.load(name).actor)
    for start_from in (name, own / name, zoo.load(name, own)):
        further = train_ppo("Catch", STILL, [8], tmp_path / "run", start_from=start_from)
        assert_starts(further, "actor", actor)
        described = json.loads((tmp_path / "run" / "run.json").read_text())["start_from"]
        assert described == name if start_from == name else described.startswith("weights ")
        shutil.rmtree(tmp_path / "run")


def test_planning_agents_start_there_too(run, tmp_path):
    folder, result = run
    config = DynaConfig(STILL, None, planning_ratio=0.0, dyna_iterations=1)
    further = train_dyna("Catch", config, [8], tmp_path / "dyna", start_from=folder)
    assert_starts(further, "actor", weights(result.actor(result.best_seed)))
    again = train_ppo("Catch", STILL, [8], start_from=tmp_path / "dyna")
    assert_starts(again, "actor", weights(result.actor(result.best_seed)))


def test_the_place_may_move_but_the_weights_tell_runs_apart(run, tmp_path, monkeypatch):
    folder, result = run
    further = train_ppo("Catch", CONFIG, [8], tmp_path / "run", start_from=folder, start_seed=3)
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert described["start_place"] == {"from": str(folder), "seed": 3}
    shutil.copytree(folder, tmp_path / "moved")
    again = train_ppo(
        "Catch",
        CONFIG,
        [8],
        tmp_path / "run",
        start_from=tmp_path / "moved",
        start_seed=3,
        resume=True,
    )
    np.testing.assert_array_equal(again.returns, further.returns)
    assert load_result(tmp_path / "run").seeds == (8,)
    with pytest.raises(ValueError, match="differs in start_from"):
        train_ppo(
            "Catch", CONFIG, [8], tmp_path / "run", start_from=folder, start_seed=4, resume=True
        )
    # A folder that is called like a model of the zoo is not taken for it.
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, "catch-ppo-mlp")
    further = train_ppo("Catch", STILL, [8], start_from="catch-ppo-mlp")
    assert_starts(further, "actor", weights(zoo.load("catch-ppo-mlp").actor))


@pytest.mark.parametrize(
    ("start_from", "start_seed", "message"),
    [
        ("catch-ppo-ml", None, "Did you mean catch-ppo-mlp"),
        ("catch-ppo-mlp", 3, "`start_seed` must be None but for a run folder or a result"),
        ("cartpole-ppo-mlp", None, "actor must"),
        ("catch-transition-mlp", None, "a policy.*which is a transition model"),
        ("RUN", 5, r"one of the run's seeds \(3, 4\)"),
        ("RUN", -1, "`start_seed` must be an integer of at least 0"),
        ("RUN/nothing", None, "where there is nothing"),
        ("RUN/tensorboard", None, "where there is neither a run.json nor a card.json"),
        ("RUN/none.keras", None, "none.keras"),
        (7, None, "`start_from` must be the name of a model of the zoo, the path"),
        (None, 3, "a seed of what `start_from` names"),
    ],
)
def test_what_is_no_place_to_start_from_is_said(run, start_from, start_seed, message):
    if isinstance(start_from, str) and start_from.startswith("RUN"):
        start_from = Path(start_from.replace("RUN", str(run[0])))
    with pytest.raises(ValueError, match=message) as error:
        train_ppo("Catch", CONFIG, [8], start_from=start_from, start_seed=start_seed)
    assert "Received: " in str(error.value)
