"""The hyperparameters of SAC: what is refused, and what follows from them."""

import dataclasses
import json
import math

import pytest

from tf_equirl.agents import SACConfig
from tf_equirl.training.search_space import declared_spaces


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("actor", "odd", "one of mlp, cnn, gcnn, symmetrizer"),
        ("q_function", "symmetrizer", "one of mlp, cnn, gcnn"),
        ("max_gradient_norm", 0.0, "a positive number"),
        ("match_parameters", 0, "a positive integer"),
        ("match_q_function_parameters", 1.5, "a positive integer"),
        ("hidden_units", (), "a non-empty sequence of positive integers"),
        ("activation", "softmax", "the name of a pointwise Keras activation"),
        ("actor_learning_rate", 0.0, "a positive number"),
        ("temperature_learning_rate", -1.0, "a positive number"),
        ("learn_temperature", 1, "True or False"),
        ("initial_temperature", 0.0, "a positive number"),
        ("target_entropy", math.inf, "a finite number or None"),
        ("augmentation", "orbit", "one of none, random"),
        ("tau", 0.0, "a number above 0 and at most 1"),
        ("tau", 1.1, "a number above 0 and at most 1"),
        ("train_every", 0, "a positive integer"),
        ("train_every", 3, "a multiple of num_environments = 1 that divides"),
        ("gradient_steps", 0, "a positive integer"),
        ("buffer_size", 2**23 + 1, "a positive integer of at most 8,388,608"),
        ("buffer_size", 255, "at least batch_size = 256"),
        ("learning_starts", -1, "an integer of at least 0"),
        ("learning_starts", 20_001, "at most the 20,000 steps of the run"),
        ("total_timesteps", 99, "at least one update of num_environments * rollout_steps = 100"),
        ("gradient_steps", 2**20, "of at most 2,147,483,647 gradient steps"),
    ],
)
def test_a_bad_field_is_named_with_its_rule_and_value(field, value, rule):
    with pytest.raises(ValueError, match=r"`\w+` must be") as error:
        SACConfig(**{field: value})
    message = str(error.value)
    assert rule in message
    if value != 2**20:
        assert f"`{field}`" in message and message.endswith(f"Received: {field}={value!r}")


def test_copies_that_do_not_fit_into_the_buffer_are_refused():
    with pytest.raises(ValueError, match="`buffer_size` must be at least num_environments = 512"):
        SACConfig(num_environments=512, train_every=512, buffer_size=400, total_timesteps=2**20)


def test_gradient_steps_are_counted():
    config = SACConfig()
    assert (config.phase_steps, config.phases, config.num_updates) == (1, 100, 200)
    # After 1,000 of 20,000 steps, and after each one that follows.
    assert config.num_gradient_steps == 19_001
    rare = SACConfig(num_environments=4, train_every=20, gradient_steps=10, learning_starts=1_001)
    assert (rare.phase_steps, rare.first_phase) == (5, 50)


def test_it_is_frozen_and_survives_json():
    config = SACConfig(target_entropy=-2.0, hidden_units=(8, 4), filters=(2,))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.tau = 0.1
    assert SACConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(ValueError, match="colour"):
        SACConfig.from_json({**config.to_json(), "colour": "blue"})


def test_presets_and_spaces_are_valid():
    for name in SACConfig.PRESETS:
        config = SACConfig.preset(name)
        assert SACConfig.from_json(config.to_json()) == config
    spaces = declared_spaces(SACConfig())
    assert {"learning_rate", "tau", "initial_temperature"} <= set(spaces)
    for name, space in spaces.items():
        for share in (0.0, 0.5, 0.999):
            dataclasses.replace(SACConfig(), **{name: space.at(share)})
