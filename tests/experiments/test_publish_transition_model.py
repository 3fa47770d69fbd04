import copy
import dataclasses
import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from tf_equirl import dyna, envs, publishing, zoo
from tf_equirl._portable import portable_config
from tf_equirl.models import transition_model
from tf_equirl.publishing import transition_scores
from tf_equirl.publishing.entry import training_fields, type_of_run
from tf_equirl.publishing.transition_model import training_command
from tf_equirl.training.run_folder import identity

pytestmark = pytest.mark.usefixtures("without_xla")

CONFIG = dyna.TransitionModelConfig(
    hidden_units=(6,), num_epochs=2, batch_size=50, learning_rate=0.01
)
NAME = "catch-transition-small"


def made(seed, kind="joint", number=675, policy="catch-ppo-gcnn"):
    """Provenance as `make_dataset` writes it."""
    played = [
        {"made_by": "collect_transitions", "policy": p, "num_transitions": number // 2}
        for p in ({"kind": "random"}, {"kind": "zoo", "name": policy})
    ]
    how = {"made_by": "make_dataset", "kind": kind, "num_transitions": number, "seed": seed}
    return {**how, "of": {"made_by": "join", "parts": played}}


def listed(env, number=675, seed=0):
    """All transitions in some order, in place of played ones."""
    order = np.random.default_rng(seed).permutation(675)[:number]
    return dataclasses.replace(dyna.all_transitions(env).take(order), provenance=made(seed))


@pytest.fixture(scope="module", autouse=True)
def nothing_is_played():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            transition_scores,
            "make_dataset",
            lambda env, kind, number, seed: listed(env, number, seed),
        )
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, env = tmp_path_factory.mktemp("runs") / "catch", envs.make("Catch")
    validation = listed(env, 200, seed=1)
    result = dyna.fit_transition_model(
        env, listed(env), CONFIG, range(4), folder, validation=validation
    )
    return folder, result


@pytest.fixture(scope="module")
def published(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("publish") / "zoo"
    limits = ["It is tiny."]
    return folder, publishing.publish_transition_model(
        run[0], NAME, folder, transitions=400, limits=limits
    )


def predicted_rightly(model, data):
    """Share of transitions whose ball and paddle are predicted, in NumPy."""
    env = envs.make("Catch")
    actions = np.eye(3, dtype=np.float32)[data.action]
    logits = np.asarray(model([np.asarray(env.observe(data.state)), actions]))
    truth = np.asarray(env.encode(data.next_state))
    cells = env.transition_head.sizes[0]
    ball, paddle = (
        part(logits).argmax(1) == part(truth).argmax(1)
        for part in (lambda x: x[:, :cells], lambda x: x[:, cells:])
    )
    return (ball & paddle).mean()


def test_what_is_published_loads_and_is_what_its_card_says(run, published):
    folder, place = published
    assert place == folder / NAME and zoo.list(folder) == [NAME]
    zoo.verify(NAME, folder)
    assert zoo.verify_outputs(NAME, folder) < 1e-6
    entry, result = zoo.load(NAME, folder), run[1]
    card, env = entry.card, envs.make("Catch")
    errors = result.validation["cross_entropy"][:, -1]
    assert card["training"]["kept_seed"] == result.seeds[int(errors.argmin())]
    assert card["training"]["mean_error"] == pytest.approx(errors.mean())
    assert card["training"]["standard_error"] == pytest.approx(errors.std(ddof=1) / 2)
    everything = dyna.all_transitions(env)
    inputs = [np.asarray(env.observe(everything.state)), np.eye(3, dtype="f")[everything.action]]
    kept = result.model(card["training"]["kept_seed"])
    np.testing.assert_array_equal(entry.transition_model(inputs), kept(inputs))
    with zipfile.ZipFile(place / "transition.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert portable_config(config) == config
    scores = card["evaluation"]
    assert scores["all_pairs"]["pairs"] == card["equivariance"]["pairs"] == 675
    accuracy = predicted_rightly(kept, everything)
    assert scores["all_pairs"]["accuracy"] == pytest.approx(accuracy)
    fresh = listed(env, 400, scores["seed"])
    accuracy = predicted_rightly(kept, fresh)
    error = np.sqrt(accuracy * (1 - accuracy) / 399)
    assert scores["metrics"]["accuracy"]["mean"] == pytest.approx(accuracy)
    assert scores["metrics"]["accuracy"]["standard_error"] == pytest.approx(error)
    assert len(scores["rollout"]["errors"]) == 9, "no ball falls longer"
    assert scores["rollout"]["errors"][0] == pytest.approx(1 - accuracy, abs=0.1)  # other actions
    assert card["equivariance"]["share"] == card["equivariance"]["mode_share"] == 1
    assert card["equivariance"]["max"] < 1e-5
    assert card["head"]["sizes"] == list(env.transition_head.sizes)
    assert card["config"] == CONFIG.to_json() and card["limits"][-1] == "It is tiny."
    assert "337 steps of random and 337 steps of catch-ppo-gcnn" in card["data"]["meaning"]
    with Image.open(place / "training_curve.png") as image:
        assert image.width > 1000
    assert (place / "README.md").read_text() == publishing.card_to_markdown(card)


def test_the_score_is_reached_again(published):
    folder, _ = published
    assert publishing.verify_score(NAME, folder) == zoo.card(NAME, folder)["evaluation"]


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (("metrics", "cross_entropy", "mean"), lambda x: 0.5 * x, "cross_entropy of"),
        (("metrics", "accuracy", "mean"), lambda x: x + 0.3, "accuracy of"),
        (("all_pairs", "accuracy"), lambda x: x + 0.1, "accuracy of .* over all pairs"),
        (("all_pairs", "cross_entropy"), lambda x: 1.01 * x, "cross_entropy of .* over all pairs"),
        (("rollout", "errors"), lambda x: [x[0] / 2, *x[1:]], "error of .* 1 steps ahead"),
        (("all_pairs",), lambda x: None, "measures over all pairs of"),
        (
            ("rollout", "errors"),
            lambda x: x[:4],
            "number of steps ahead of .* must be the card's, 4",
        ),
    ],
)
def test_a_better_score_than_the_true_one_is_noticed(
    published, path, to, message, tmp_path, monkeypatch
):
    folder = shutil.copytree(published[0], tmp_path / "zoo")
    card = zoo.card(NAME, folder)
    truth, inner = copy.deepcopy(card["evaluation"]), card["evaluation"]
    # That it is found again, the test above shows; here it need not be measured again.
    monkeypatch.setattr(transition_scores, "evaluate_transition_model", lambda *_: truth)
    assert publishing.verify_score(NAME, folder) == truth
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to(inner[path[-1]])
    (folder / NAME / "card.json").write_text(json.dumps(card))
    publishing.write_readme(folder / NAME)
    publishing.write_index(folder)
    with pytest.raises(ValueError, match=message):
        publishing.verify_score(NAME, folder)


@pytest.mark.parametrize(
    ("place", "field", "lie"),
    [
        ("networks.transition", "parameters", 7),
        ("head", "sizes", [25, 3, 1]),
        ("training", "epochs", 3),
        ("training", "command", "python -m launchers.train_ppo --env=Catch"),
        ("data", "transitions", 674),
        ("equivariance", "share", 0.5),
        ("equivariance", "max", 0.1),
        ("config", "hidden_units", [7]),
    ],
)
def test_a_card_that_lies_is_noticed(published, place, field, lie, tmp_path, monkeypatch):
    folder = shutil.copytree(published[0], tmp_path / "zoo")
    card = zoo.card(NAME, folder)
    inner = card
    for key in place.split("."):
        inner = inner[key]
    assert inner[field] != lie
    inner[field] = lie
    (folder / NAME / "card.json").write_text(json.dumps(card))
    publishing.write_readme(folder / NAME)
    publishing.write_index(folder)
    monkeypatch.setattr(transition_scores, "evaluate_transition_model", pytest.fail)
    with pytest.raises(ValueError, match=place if place == "config" else f"{place}.{field}"):
        publishing.verify_score(NAME, folder)


def test_the_command_repeats_data_and_training(run):
    description = json.loads((run[0] / "run.json").read_text())
    command = training_command(envs.make("Catch"), description, CONFIG, "runs/x")
    assert command == (
        "python -m launchers.train_transition_model --env=Catch --data=joint "
        "--num_transitions=675 --data_seed=0 --validation_transitions=675 --validation_seed=1 "
        "--num_seeds=4 --hidden_units=6 --num_epochs=2 --batch_size=50 --learning_rate=0.01 "
        "--run_dir=runs/x"
    )


@pytest.mark.parametrize(
    ("field", "provenance", "message"),
    [
        ("data_provenance", {"source": "logged"}, "whose data came from `dyna.make_dataset`"),
        ("data_provenance", made(0, policy="mine"), "whose data came from `dyna.make_dataset`"),
        ("validation_provenance", {}, "whose validation_data came from"),
        ("validation_provenance", made(0, "random"), "Received: one of kind 'random'"),
        ("seeds", [1, 3], "seeds must be consecutive"),
    ],
)
def test_what_no_command_makes_is_refused(run, field, provenance, message):
    description = json.loads((run[0] / "run.json").read_text())
    with pytest.raises(ValueError, match=message):
        training_command(envs.make("Catch"), {**description, field: provenance}, CONFIG, "runs/x")


def test_runs_that_cannot_be_published_are_refused(run, tmp_path):
    def write_run(changed):
        written = {**changed, "identity": identity(changed)}
        (tmp_path / "run.json").write_text(json.dumps(written))

    description = json.loads((run[0] / "run.json").read_text())
    env = envs.make("Catch")
    own = transition_model(env.symmetry, "mlp", (5,), head=env.transition_head)
    for change, message in (
        ({"models": {"transition_model": json.loads(own.to_json())}}, "another transition model"),
        ({"validation_data": None}, "a run with validation data"),
        ({"validation_provenance": {}}, "whose validation_data came from"),
    ):
        write_run({**description, **change})
        with pytest.raises(ValueError, match=message):
            publishing.publish_transition_model(tmp_path, NAME, tmp_path / "zoo")
    assert type_of_run(run[0]) == zoo.TRANSITION_MODEL
    write_run({**description, "models": {"actor": {}}})
    with pytest.raises(ValueError, match="trained a transition model. .* which trained a policy"):
        publishing.publish_transition_model(tmp_path, NAME, tmp_path / "zoo")
    with pytest.raises(ValueError, match="trained a policy. .* which trained a transition model"):
        publishing.publish(run[0], NAME, 1, tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limits": "abc"}, "must be a list of sentences"),
        ({"name": "../x"}, "lower-case words joined by hyphens"),
        ({"transitions": 0}, "`transitions` must be a positive integer"),
        ({"run_dir": "nowhere"}, "must hold a run"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(run, arguments, message, tmp_path):
    arguments = {"run_dir": run[0], "name": "x", **arguments}
    with pytest.raises(ValueError, match=message):
        publishing.publish_transition_model(zoo_dir=tmp_path / "zoo", **arguments)
    assert not (tmp_path / "zoo").exists()


def test_a_single_seed_has_no_standard_error():
    run = {"git_commit": None, "versions": {}}
    fields = training_fields([3], 3, "the best.", "mean_error", np.array([0.5]), run)
    assert fields["standard_error"] is None and fields["mean_error"] == 0.5
    assert fields["rule"].startswith("it is the only one.")
