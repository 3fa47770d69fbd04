import dataclasses
import json

import numpy as np
import pytest

from tf_equirl import models
from tf_equirl.agents import PPOConfig


def test_the_defaults_are_the_thesis_hyperparameters():
    config = PPOConfig()
    assert (config.num_environments, config.rollout_steps, config.num_minibatches) == (4, 128, 4)
    assert (config.batch_size, config.num_updates) == (512, 976)
    assert (config.learning_rate, config.adam_epsilon) == (3.5e-4, 1e-5)
    assert (config.discount, config.gae_lambda, config.clip_ratio) == (0.99, 0.95, 0.2)
    assert (config.value_coefficient, config.entropy_coefficient) == (0.5, 0.01)
    assert (config.num_epochs, config.max_gradient_norm) == (4, 0.5)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("learning_rate", -1e-3, "a positive number"),
        ("learning_rate", float("nan"), "a positive number"),
        ("learning_rate", "fast", "a positive number"),
        ("num_minibatches", 3, "a divisor of num_environments"),
        ("num_minibatches", 512, "at most half of"),
        ("num_minibatches", 0, "a positive integer"),
        ("num_epochs", 2.0, "a positive integer"),
        ("total_timesteps", 511, "at least one update of num_environments * rollout_steps = 512"),
        ("discount", 1.01, "from 0 to 1"),
        ("adam_beta_2", 1.0, "1 excluded"),
        ("clip_ratio", 0, "between 0 and 1"),
        ("entropy_coefficient", -0.1, "at least 0"),
        ("actor", "rnn", "one of mlp, cnn, gcnn, odd"),
        ("critic", "gcnn", "one of mlp, cnn, invariant"),
        ("hidden_units", (), "non-empty"),
        ("hidden_units", (64, -1), "positive integers"),
        ("match_parameters", 0, "a positive integer"),
        ("match_critic_parameters", 0, "a positive integer"),
        ("activation", "softmax", "pointwise Keras activation"),
        ("actor_initializer", "he_abnormal", "the name of a Keras initialiser"),
        ("anneal_learning_rate", 1, "True or False"),
        ("normalize_advantages", 0, "True or False"),
        ("filters", 3, "a sequence of positive integers"),
        ("filters", (8, 0), "positive integers up to 16,384"),
        ("kernel_sizes", (3,), "where `filters` is not given"),
        ("padding", "full", "one of valid, same, circular"),
        ("pooling", "sum", "one of flatten, max, mean"),
        ("picture_scale", -1.0, "a positive number"),
    ],
)
def test_a_bad_field_is_named_with_its_rule_and_value(field, value, rule):
    with pytest.raises(ValueError, match=f"`{field}` must be") as error:
        PPOConfig(**{field: value})
    assert rule in str(error.value)
    assert str(error.value).endswith(f"Received: {field}={value!r}")


def test_convolutions_survive_json_whatever_they_were_given_as():
    given = {"filters": [np.int64(2), 3], "kernel_sizes": [3, [3, 5]], "strides": (1, (1, 2))}
    config = PPOConfig(**given, picture_scale=np.float32(0.5))
    assert (config.filters, config.kernel_sizes) == ((2, 3), (3, (3, 5)))
    again = PPOConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config and hash(again) == hash(config)
    assert config.convolutions() == models.Convolutions(**given, picture_scale=0.5)
    assert PPOConfig().convolutions() is None


def test_it_is_frozen_and_survives_json():
    config = PPOConfig(actor="odd", hidden_units=(8, 4), anneal_learning_rate=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.actor = "mlp"
    assert PPOConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(ValueError, match="colour"):
        PPOConfig.from_json({**config.to_json(), "colour": "blue"})


def test_presets_are_configs_that_changes_apply_to():
    assert PPOConfig.preset("thesis") == PPOConfig()
    for name in PPOConfig.PRESETS:
        config = PPOConfig.preset(name, total_timesteps=10_000, learning_rate=0.5)
        assert config.learning_rate == 0.5 and config.total_timesteps == 10_000
        assert PPOConfig.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="`name` must be one of thesis, start, .*name='best'"):
        PPOConfig.preset("best")
    with pytest.raises(ValueError, match="`clip_ratio` must be a number between 0 and 1"):
        PPOConfig.preset("start", clip_ratio=2)


def test_presets_of_the_race_are_settings_that_it_tried():
    from tf_equirl.experiments.tuning.samplers import RandomSearch
    from tf_equirl.reproductions.race import race

    for environment in ("CartPole", "Catch"):
        contest = race(environment)
        columns = {column.name: column for column in contest.experiment.columns}
        for suffix, column in (("", columns["both"]), ("-mlp", columns["mlp"])):
            search = contest.search(column)
            drawn = RandomSearch(search.space, search.trials, search.random_seed).drawn()
            preset = PPOConfig.preset(environment.lower() + suffix)
            tried = [dataclasses.replace(column.config, **values) for values in drawn.values()]
            assert preset in tried
            start = PPOConfig.preset("start")
            assert any(
                all(getattr(start, name) == value for name, value in values.items())
                for values in drawn.values()
            )
