"""`launchers.export`; a converter in a process of its own, for what it prints."""

from pathlib import Path

import keras
import numpy as np
import pytest
from in_process import launcher, run_here
from processes import run_python

from tf_equirl import envs, models, zoo
from tf_equirl.exporting import FORMATS


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "source.keras"
    models.actor(envs.make("CartPole").symmetry, "gcnn", (8, 8)).save(path)
    return path


def test_the_flag_names_every_format():
    with launcher("export") as module:
        assert module.flags.FLAGS["format"].parser.enum_values == list(FORMATS)


@pytest.mark.parametrize("format", ["keras", "tflite", "onnx"])
def test_it_writes_a_file_and_says_how_good_it_is(format, source, tmp_path):
    missing = FORMATS[format].missing()
    output = tmp_path / f"plain{FORMATS[format].suffix}"
    arguments = [f"--model={source}", f"--format={format}", f"--output={output}"]
    if format == "tflite":
        result = run_python("-m", "launchers.export", *arguments)
    else:
        result = run_here("export", *arguments)
    if missing:
        assert result.returncode != 0 and not output.exists()
        assert "pip install onnx tf2onnx onnxruntime" in result.stderr
        pytest.skip(f"{', '.join(missing)} not installed")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""  # no chatter of the libraries
    assert f"written: {output} (" in result.stdout
    assert "largest difference from gcnn_actor on random states: " in result.stdout
    assert output.exists()
    if format == "keras":
        states = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
        plain, original = keras.models.load_model(output), keras.models.load_model(source)
        np.testing.assert_allclose(plain(states), original(states), atol=1e-5)
        assert {type(layer) for layer in plain.layers[1:]} == {keras.layers.Dense}


def test_the_critic_of_a_zoo_model(tmp_path):
    try:
        name = zoo.list()[0]
    except (ValueError, IndexError):
        pytest.skip("there is no zoo in this checkout")
    output = tmp_path / "critic.keras"
    result = run_here("export", f"--model={name}", "--critic", f"--output={output}")
    assert result.returncode == 0, result.stderr
    critic = zoo.load(name).critic
    states = np.random.default_rng(0).normal(size=(16, *critic.input_shape[1:])).astype("float32")
    plain = keras.models.load_model(output)
    expected = np.asarray(critic(states))
    np.testing.assert_allclose(plain(states), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model=SOURCE"], "--output must be given"),
        (["--model=nothing.keras", "--output=a.keras"], "nothing.keras"),
    ],
)
def test_bad_flags_give_one_clear_line(arguments, message, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [argument.replace("SOURCE", str(source)) for argument in arguments]
    result = run_here("export", *arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert not Path("a.keras").exists()
