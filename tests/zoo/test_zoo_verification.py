"""Models that no longer do what their cards say."""

import shutil

import keras
import numpy as np
import pytest
import zoo_cases

from tf_equirl import envs, evaluation, publishing, zoo

pytestmark = pytest.mark.usefixtures("without_xla")

NAME = "cartpole-ppo-gcnn"
TRANSITION_NAME = "cartpole-transition-gcnn"


@pytest.fixture(scope="module")
def measured_zoo(pristine, tmp_path_factory):
    folder = shutil.copytree(pristine, tmp_path_factory.mktemp("measured") / "zoo")
    zoo_cases.measure(folder, NAME)
    return folder


@pytest.fixture
def measured(measured_zoo, tmp_path):
    return shutil.copytree(measured_zoo, tmp_path / "measured")


@pytest.fixture(scope="module")
def found(measured_zoo):
    return publishing.verify_score(NAME, measured_zoo)


@pytest.fixture
def played(found, monkeypatch):
    """The evaluations that a card is compared with, not played again for every card."""

    def evaluate(model, env, *, episodes, greedy, seed):
        assert (env.name, episodes, seed) == ("CartPole", 100, 7)
        return found["greedy" if greedy else "sampled"]

    monkeypatch.setattr(evaluation, "evaluate", evaluate)


def change_scores(folder, kind, **changes):
    card = zoo_cases.read_card(folder / NAME)
    card["evaluation"][kind].update(changes)
    zoo_cases.write_card(folder / NAME, card)
    publishing.write_index(folder)


def change_golden(folder, name, **changes):
    file = folder / name / "golden.npz"
    with np.load(file) as golden:
        arrays = {**golden, **changes}
    np.savez(file, **{key: value for key, value in arrays.items() if value is not None})
    zoo_cases.write_card(folder / name, zoo_cases.read_card(folder / name))
    publishing.write_index(folder)


@pytest.mark.parametrize("name", [NAME, TRANSITION_NAME])
def test_outputs_are_those_of_publishing(mixed, name):
    assert zoo.verify_outputs(name, mixed) < 1e-6


@pytest.mark.parametrize(
    ("name", "key", "role"),
    [
        (NAME, "logits", "actor"),
        (NAME, "values", "critic"),
        (TRANSITION_NAME, "outputs", "transition"),
    ],
)
@pytest.mark.parametrize("error", [1e-4, np.nan])
def test_other_outputs_are_noticed(mixed, name, key, role, error):
    stored = np.load(mixed / name / "golden.npz")[key]
    stored[17, 0] += error * np.abs(stored).max()
    change_golden(mixed, name, **{key: stored})
    with pytest.raises(ValueError, match=f"the {role} of {name} must give the outputs"):
        zoo.verify_outputs(name, mixed)


@pytest.mark.parametrize("wrong", [None, np.zeros((64, 3)), np.array([{}])])
def test_stored_outputs_that_are_none_are_refused(folder, wrong):
    # The last one is a pickle.
    change_golden(folder, NAME, logits=wrong)
    with pytest.raises(ValueError, match=r"golden.npz"):
        zoo.verify_outputs(NAME, folder)


def test_other_weights_are_noticed(folder):
    place = folder / NAME
    actor = zoo.load_model(place / "actor.keras")
    actor.set_weights([1.001 * w for w in actor.get_weights()])
    actor.save(place / "actor.keras")
    zoo_cases.write_card(place, zoo_cases.read_card(place))
    publishing.write_index(folder)
    with pytest.raises(ValueError, match=f"the actor of {NAME} must give the outputs"):
        zoo.verify_outputs(NAME, folder)


def test_the_score_is_reached_again(found, measured):
    card = zoo.card(NAME, measured)["evaluation"]
    assert list(found) == ["greedy", "sampled"]
    for kind, scores in found.items():
        assert scores.mean == pytest.approx(card[kind]["mean"])
        assert len(scores.returns) == card[kind]["episodes"] == 100
    assert card["greedy"]["mean"] != card["sampled"]["mean"]


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("kind", ["greedy", "sampled"])
def test_a_better_score_than_the_true_one_is_noticed(measured, kind):
    change_scores(measured, kind, mean=499.0, standard_error=0.1, maximum=500.0)
    with pytest.raises(ValueError, match=f"{kind} mean return of {NAME} must be the card's, 499"):
        publishing.verify_score(NAME, measured)


@pytest.mark.usefixtures("played")
def test_a_better_success_rate_than_the_true_one_is_noticed(measured):
    change_scores(measured, "sampled", success_rate=0.9)
    with pytest.raises(ValueError, match=f"sampled success rate of {NAME} must be the card's, 0.9"):
        publishing.verify_score(NAME, measured)


@pytest.mark.usefixtures("played")
def test_the_success_rate_counts_from_the_card_s_return(measured):
    change_scores(measured, "greedy", success="return of at least 1", success_rate=1.0)
    assert publishing.verify_score(NAME, measured)["greedy"].minimum >= 1


@pytest.mark.usefixtures("played")
def test_a_deviation_within_the_errors_is_allowed(measured):
    scores = zoo.card(NAME, measured)["evaluation"]["sampled"]
    change_scores(measured, "sampled", mean=scores["mean"] + scores["standard_error"])
    assert publishing.verify_score(NAME, measured)


GREEDY = ("evaluation", "greedy")


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize(
    ("lies", "message"),
    [
        # A score is held against errors that are measured, over enough episodes, not the card's.
        (
            {GREEDY: {"mean": 499.0, "standard_error": 1e6, "maximum": 500.0}},
            "greedy mean return of .* must be the card's, 499",
        ),
        (
            {GREEDY: {"mean": 499.0, "episodes": 3, "standard_error": 0.0, "maximum": 500.0}},
            "greedy mean return of .* must be the card's, 499",
        ),
        ({GREEDY: {"standard_error": 1e6}}, "greedy standard error of .* the card's, 1e\\+06"),
        ({GREEDY: {"standard_error": 9.0}}, "greedy standard error of .* the card's, 9, to"),
        ({GREEDY: {"maximum": 500.0}}, "greedy maximum of .* the card's, 500"),
        ({GREEDY: {"minimum": -500.0}}, "greedy minimum of .* the card's, -500"),
        ({GREEDY: {"episodes": 2_000_000}}, "must be at most 1,000,000 to be verified"),
        ({("equivariance",): {"states": 2_000_000}}, "must be at most 1,000,000 to be verified"),
        ({("equivariance", "critic"): {"max": 1e-7}}, "equivariance.critic.max of .* 1e-07"),
        ({("equivariance", "actor"): {"mean": 0.5}}, "equivariance.actor.mean of .* 0.5"),
        ({("networks", "actor"): {"parameters": 66}}, "parameters` .* 65. Received: 66"),
        ({("networks", "actor"): {"kind": "odd"}}, "kind` .* 'gcnn'. Received: 'odd'"),
        ({("networks", "critic"): {"output_shape": [2]}}, "output_shape` .*Received: \\[2\\]"),
        ({("symmetry",): {"group": "D4"}}, "symmetry.group` .* 'C2'. Received: 'D4'"),
        ({("environment",): {"gymnasium_id": "a/b-v9"}}, "gymnasium_id` .*Received: 'a/b-v9'"),
        (
            {("config",): {"hidden_units": [4, 5]}},
            "`config` .* Received: the description of another",
        ),
        ({("config",): {"nonsense": 1}}, f"the card of {NAME} must describe a run .*nonsense"),
        ({("training",): {"timesteps": 1000}}, "timesteps` .* 1024. Received: 1000"),
        (
            {("training",): {"command": "python -m launchers.train_ppo --env=Catch"}},
            "`training.command` .* which is wrong about .*--env=Catch",
        ),
        (
            {("training",): {"publish_command": "python -m pip install launchers.publish"}},
            "`training.publish_command` .* which is wrong about",
        ),
    ],
    ids=lambda x: None if isinstance(x, str) else str(x),
)
def test_a_card_that_lies_is_noticed(measured, lies, message):
    card = zoo_cases.read_card(measured / NAME)
    for place, changes in lies.items():
        inner = card
        for field in place:
            inner = inner[field]
        inner.update(changes)
    zoo_cases.write_card(measured / NAME, card)
    publishing.write_index(measured)
    zoo.verify(NAME, measured)  # files can be as a lying card says
    with pytest.raises(ValueError, match=message):
        publishing.verify_score(NAME, measured)


def test_an_environment_that_changed_is_noticed(measured, monkeypatch):
    longer = envs.CartPole()
    longer.max_episode_steps = 600
    monkeypatch.setattr(envs, "make", lambda name: longer)
    with pytest.raises(ValueError, match="'max_episode_steps': 500.*Received.*600"):
        publishing.verify_score(NAME, measured)


def test_an_actor_of_another_environment_is_noticed(measured):
    shutil.copy(measured / "catch-ppo-mlp" / "actor.keras", measured / NAME / "actor.keras")
    zoo_cases.write_card(measured / NAME, zoo_cases.read_card(measured / NAME))
    publishing.write_index(measured)
    assert isinstance(zoo.load(NAME, measured).actor, keras.Model)
    with pytest.raises(ValueError):
        publishing.verify_score(NAME, measured)
    with pytest.raises(ValueError):
        zoo.verify_outputs(NAME, measured)
