"""The hyperparameters of DQN: what is refused, and what follows from them."""

import dataclasses
import json
import math

import pytest

from tf_equirl.agents import DQNConfig
from tf_equirl.training import AgentConfig
from tf_equirl.training.search_space import declared_spaces


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("q_function", "odd", "one of mlp, cnn, gcnn"),
        ("loss", "absolute", "one of huber, squared"),
        ("huber_delta", 0.0, "a positive number"),
        ("double", 1, "True or False"),
        ("n_steps", 0, "a positive integer"),
        ("n_steps", 1001, "a positive integer of at most 1,000"),
        ("max_gradient_norm", 0.0, "a positive number"),
        ("match_parameters", 0, "a positive integer"),
        ("hidden_units", (), "a non-empty sequence of positive integers"),
        ("activation", "softmax", "the name of a pointwise Keras activation"),
        ("epsilon_decay", "cosine", "one of linear, exponential"),
        ("epsilon_start", 1.1, "a number from 0 to 1"),
        ("epsilon_start", 0.01, "0.05"),
        ("epsilon_end", math.nan, "a number from 0 to 1"),
        ("epsilon_steps", 0, "a positive integer"),
        ("epsilon_steps", math.inf, "a positive integer"),
        ("epsilon_steps", math.nan, "a positive integer"),
        ("epsilon_steps", 1e4, "a positive integer"),
        ("train_every", 6, "a multiple of num_environments = 4 that divides"),
        ("train_every", 24, "rollout_steps = 512, the steps of an update"),
        ("buffer_size", 2**23 + 1, "a positive integer of at most 8,388,608"),
        ("buffer_size", 63, "at least batch_size = 64"),
        ("learning_starts", -1, "an integer of at least 0"),
        ("learning_starts", 63, "at least batch_size = 64"),
        ("learning_starts", 50_001, "at most buffer_size = 50,000"),
        ("total_timesteps", 511, "at least one update of num_environments * rollout_steps = 512"),
        ("gradient_steps", 2**20, "of at most 2,147,483,647 gradient steps"),
    ],
)
def test_a_bad_field_is_named_with_its_rule_and_value(field, value, rule):
    with pytest.raises(ValueError, match=r"`\w+` must be") as error:
        DQNConfig(**{field: value})
    message = str(error.value)
    assert rule in message
    if field not in ("epsilon_start", "gradient_steps") or value == 1.1:
        assert f"`{field}`" in message and message.endswith(f"Received: {field}={value!r}")


def test_fields_that_do_not_fit_together_are_refused():
    for fields, message in (
        ({"total_timesteps": 512}, "`learning_starts` must be at most the 512 steps of the run"),
        ({"epsilon_start": 0.01}, "`epsilon_end` must be at most epsilon_start = 0.01"),
        ({"n_steps": 1000, "buffer_size": 2000}, r"at least num_environments \* n_steps = 4,000"),
        (
            {"num_environments": 2048, "train_every": 2**18, "learning_starts": 50_000},
            "`buffer_size` must be at least train_every = 262,144",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            DQNConfig(**{"total_timesteps": 2**20, **fields})


def test_gradient_steps_are_counted():
    config = DQNConfig()
    assert (config.phase_steps, config.phases, config.num_updates) == (1, 128, 97)
    # After 1,000 of 97 * 512 steps, and after each four that follow.
    assert config.num_gradient_steps == (97 * 512 - 1000) // 4 + 1
    rare = DQNConfig(train_every=512, gradient_steps=10, learning_starts=513)
    assert (rare.first_phase, rare.num_gradient_steps) == (1, 96 * 10)


def test_it_is_frozen_and_survives_json():
    config = DQNConfig(n_steps=3, hidden_units=(8, 4), max_gradient_norm=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.loss = "squared"
    assert DQNConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(ValueError, match="colour"):
        DQNConfig.from_json({**config.to_json(), "colour": "blue"})


def test_presets_and_spaces_are_valid():
    for name in DQNConfig.PRESETS:
        config = DQNConfig.preset(name)
        assert DQNConfig.from_json(config.to_json()) == config
    published = DQNConfig.preset("snake-published")
    assert published.num_gradient_steps == published.num_updates * 128 - 31
    assert (published.loss, published.max_gradient_norm) == ("squared", None)
    spaces = declared_spaces(DQNConfig())
    assert {"learning_rate", "target_update_period", "n_steps"} <= set(spaces)
    for name, space in spaces.items():
        for share in (0.0, 0.5, 0.999):
            dataclasses.replace(DQNConfig(), **{name: space.at(share)})


def test_the_base_class_describes_no_learner():
    with pytest.raises(NotImplementedError):
        AgentConfig().learner(None)
    assert AgentConfig(max_gradient_norm=None).num_gradient_steps == 976
