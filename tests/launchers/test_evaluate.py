"""`launchers.evaluate`."""

import re

import keras
import numpy as np
import pytest
from in_process import run_here

from tf_equirl import envs, zoo
from tf_equirl.evaluation import evaluate

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    layer = keras.layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.Input([4]), layer], name="leaning")
    layer.set_weights([np.array([[0, 0], [0, 0], [-1, 1], [0, 0.0]])])
    file = tmp_path_factory.mktemp("evaluate") / "model.keras"
    model.save(file)
    return file


def test_it_reports_what_the_library_finds(model_file):
    flags = (f"--model={model_file}", "--episodes=300", "--success=45", "--seed=4")
    result = run_here("evaluate", *flags)
    assert result.returncode == 0, result.stderr
    assert "leaning on CartPole: 300 episodes, seed 4" in result.stdout
    assert "success (≥ 45)" in result.stdout
    model = keras.models.load_model(model_file)
    for policy in ("greedy", "sampled"):
        expected = evaluate(model, "CartPole", 300, policy == "greedy", seed=4)
        numbers = (expected.mean, expected.standard_error, expected.minimum, expected.maximum)
        cells = [f"{x:.4g}" for x in numbers] + [f"{expected.success_rate(45):.1%}"]
        row = " *│ *".join(re.escape(cell) for cell in [policy, *cells])
        assert re.search(row, result.stdout), result.stdout
    assert "relative equivariance error under C2, on 1,000 visited states: 0\n" in result.stdout


def test_the_card_of_a_zoo_model_names_the_environment(model_file, monkeypatch):
    """A zoo of one model, and a second environment that it fits."""

    class Short(envs.CartPole):
        name = "Short"

    constructors = {"CartPole": envs.CartPole, "Short": lambda: Short(max_episode_steps=9)}
    monkeypatch.setattr("tf_equirl.envs.registry._CONSTRUCTORS", constructors)
    load = zoo.load_model
    scores = {"greedy": {"success": "return of at least 9"}}
    card = {"environment": {"name": "Short"}, "evaluation": scores}
    monkeypatch.setattr(zoo, "load_model", lambda name, *_, **__: load({"pet": model_file}[name]))
    monkeypatch.setattr(zoo, "card", lambda name, _: {"pet": card}[name])
    result = run_here("evaluate", "--model=pet", "--episodes=5", "--policy=greedy")
    assert result.returncode == 0, result.stderr
    assert re.search("greedy *│ *9 │ *0 │ *9 │ *9 │ *100.0% │", result.stdout)
    assert "on Short: 5 episodes" in result.stdout and "sampled" not in result.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--env=Catch"], "`model` must map observations (None, 50) of Catch"),
        (["--episodes=0"], "`episodes` must be a positive integer"),
        (["--model="], "--model must be given"),
    ],
)
def test_bad_flags_give_one_clear_line(model_file, flags, message):
    result = run_here("evaluate", f"--model={model_file}", *flags)
    assert result.returncode != 0 and message in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
