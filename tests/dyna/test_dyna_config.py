"""The rules of `DynaConfig`, and how it divides a run."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tf_equirl import envs
from tf_equirl.agents import PPOConfig
from tf_equirl.dyna import DynaConfig, TransitionModelConfig
from tf_equirl.dynamics.fit import build_model
from tf_equirl.models import transition_model

# Ten updates of 64 transitions.
SMALL = {
    "num_environments": 4,
    "rollout_steps": 16,
    "total_timesteps": 640,
    "dyna_iterations": 5,
}


def config(**fields):
    return DynaConfig.from_flat(**{**SMALL, **fields})


def test_presets_are_configs_that_changes_apply_to():
    for name in DynaConfig.PRESETS:
        changed = DynaConfig.preset(name, model_learning_rate=0.5, total_timesteps=81_920)
        assert changed.model.learning_rate == 0.5 and changed.agent.total_timesteps == 81_920
        assert DynaConfig.from_json(changed.to_json()) == changed
    with pytest.raises(ValueError, match="`name` must be one of cartpole.*name='best'"):
        DynaConfig.preset("best")
    with pytest.raises(ValueError, match="hyperparameters of Dyna. Received also: \\['color'\\]"):
        DynaConfig.preset("cartpole", color=1)


def test_presets_of_the_race_are_settings_that_it_tried():
    from tf_equirl.experiments.tuning.samplers import RandomSearch
    from tf_equirl.reproductions.race import race

    columns = {"": "dyna-both", "-mlp": "dyna-mlp"}
    for name in DynaConfig.PRESETS:
        environment = {"cartpole": "CartPole", "catch": "Catch"}[name.removesuffix("-mlp")]
        contest = race(environment)
        chosen = columns["-mlp" if name.endswith("-mlp") else ""]
        (column,) = (c for c in contest.experiment.columns if c.name == chosen)
        search = contest.search(column)
        drawn = RandomSearch(search.space, search.trials, search.random_seed).drawn()
        base = column.config.flat()
        assert DynaConfig.preset(name) in [
            DynaConfig.from_flat(**{**base, **values}) for values in drawn.values()
        ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"planning_ratio": -0.5}, "`planning_ratio` must be a number of at least 0"),
        ({"planning_ratio": math.inf}, "`planning_ratio` must be a number of at least 0"),
        ({"planning_ratio": True}, "`planning_ratio` must be a number of at least 0"),
        ({"dyna_iterations": 0}, "`dyna_iterations` must be a positive integer"),
        ({"dyna_iterations": 11}, "`dyna_iterations` must be at most the run's 10 updates"),
        ({"warmup_timesteps": -1}, "`warmup_timesteps` must be an integer of at least 0"),
        ({"warmup_timesteps": 1.0}, "`warmup_timesteps` must be an integer of at least 0"),
        ({"planning_starts": "middle"}, "`planning_starts` must be one of reset, buffer"),
        ({"high_error": "ignore"}, "`high_error` must be one of stop, shrink"),
        ({"model_rollout_steps": 0}, "`model_rollout_steps` must be a positive integer"),
        ({"max_model_steps": 0}, "`max_model_steps` must be a positive integer"),
        ({"buffer_size": 0}, "`buffer_size` must be a positive integer"),
        ({"buffer_size": 63}, "`buffer_size` must be at least .* = 64, the transitions of one"),
        ({"max_policy_change": -0.1}, "`max_policy_change` must be a number of at least 0"),
        ({"max_model_error": math.nan}, "`max_model_error` must be a number of at least 0"),
        (
            {"max_disagreement": -1, "ensemble_size": 2},
            "`max_disagreement` must be a number of at least 0",
        ),
        ({"max_disagreement": 0.1}, "`max_disagreement` must be None for an ensemble of one model"),
        ({"ensemble_size": 0}, "`ensemble_size` must be a positive integer"),
        ({"augment": 1}, "`augment` must be True or False"),
        ({"model_kind": "gcnn"}, "`model_kind` must be one of mlp, .*, environment"),
        (
            {"model_predict_change": 1},
            "of the transition model: `model_predict_change` must be True or False",
        ),
        ({"model_epochs": 0}, "`model_epochs` must be a positive number"),
        ({"model_hidden_units": (8, 0)}, "of the transition model: `model_hidden_units`"),
        ({"model_match_parameters": 0}, "of the transition model: `model_match_parameters`"),
        ({"model_batch_size": 0}, "of the transition model: `model_batch_size`"),
        ({"model_learning_rate": 0.0}, "of the transition model: `model_learning_rate`"),
        ({"clip_ratio": 2.0}, "`clip_ratio` must be"),  # PPO's own rules hold as well
    ],
)
def test_what_breaks_a_rule_is_refused(fields, message):
    config()
    with pytest.raises(ValueError, match=f"^{message}.*Received: "):
        config(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"agent": {"actor": "mlp"}}, "`agent` must be a PPOConfig"),
        ({"model": "mlp"}, "`model` must be a TransitionModelConfig or None"),
        ({"model": PPOConfig()}, "`model` must be a TransitionModelConfig or None"),
        (
            {"model": TransitionModelConfig(num_epochs=9)},
            "`model` must be of the default num_epochs, as model_epochs says how it is fitted",
        ),
        (
            {"model": TransitionModelConfig(anneal_learning_rate=True)},
            "`model` must be of the default anneal_learning_rate",
        ),
    ],
)
def test_what_is_not_composed_of_an_agent_and_a_model_is_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{message}.*Received: {next(iter(fields))}="):
        DynaConfig(**fields)


def test_an_update_must_be_large_enough_to_hold_a_transition_out():
    few = {"num_environments": 1, "rollout_steps": 8, "num_minibatches": 2, "total_timesteps": 80}
    with pytest.raises(
        ValueError,
        match=r"`agent` must be such that num_environments \* rollout_steps is at least 10: "
        r".*rollout_steps=8",
    ):
        DynaConfig.from_flat(**few, dyna_iterations=1)
    agent = PPOConfig(**few)
    DynaConfig(agent, dyna_iterations=1, planning_ratio=0)  # nothing is held out
    DynaConfig(agent, None, dyna_iterations=1)


@pytest.mark.parametrize("iterations", [1, 3, 4, 7, 10])
@pytest.mark.parametrize("ratio", [0, 0.3, 0.75, 1, 2.5, 8])
def test_iterations_divide_the_run_and_their_planning_adds_up(ratio, iterations):
    c = config(planning_ratio=ratio, dyna_iterations=iterations)
    lengths = np.diff([0, *c.boundaries])
    assert c.boundaries[-1] == c.agent.num_updates == 10
    assert lengths.min() >= 1 and np.ptp(lengths) <= 1
    planned = [c.planned_updates(i) for i in range(iterations)]
    assert sum(planned) == math.floor(ratio * 10)
    # At no time is more planned than the ratio allows, nor less by a whole update.
    behind = ratio * np.array(c.boundaries) - np.cumsum(planned)
    assert behind.min() >= 0 and behind.max() < 1


def test_a_ratio_is_the_number_that_it_reads_as():
    whole = {"num_environments": 4, "rollout_steps": 16, "total_timesteps": 6400}
    c = DynaConfig(PPOConfig(**whole), planning_ratio=0.29, dyna_iterations=1)
    assert c.planned_updates(0) == 29  # 0.29 * 100 is 28.999... in floating point


def test_nothing_is_planned_during_the_warm_up():
    plain, warm = config(planning_ratio=1.5), config(planning_ratio=1.5, warmup_timesteps=385)
    assert [plain.planned_updates(i) for i in range(5)] == [3, 3, 3, 3, 3]
    # Iterations end at 128, 256, 384, 512 and 640 steps.
    assert [warm.planned_updates(i) for i in range(5)] == [0, 0, 0, 3, 3]
    exactly = config(planning_ratio=1.5, warmup_timesteps=384)
    assert [exactly.planned_updates(i) for i in range(5)] == [0, 0, 3, 3, 3]


@pytest.mark.parametrize(
    ("size", "capacity"), [(None, 640), (64, 64), (127, 64), (200, 192), (640, 640), (9999, 640)]
)
def test_the_buffer_holds_whole_updates_and_no_more_than_the_run(size, capacity):
    assert config(buffer_size=size).capacity == capacity


def test_flat_names_are_those_of_the_agent_and_of_the_model():
    c = config(
        learning_rate=0.5,
        model_kind="gcnn-averaged",
        model_hidden_units=[4, 6],
        model_match_parameters=900,
        model_batch_size=17,
        model_learning_rate=0.25,
    )
    assert c.agent == PPOConfig(
        num_environments=4, rollout_steps=16, total_timesteps=640, learning_rate=0.5
    )
    assert c.model == TransitionModelConfig(
        kind="gcnn-averaged",
        hidden_units=(4, 6),
        match_parameters=900,
        batch_size=17,
        learning_rate=0.25,
        predict_change=None,
    )
    flat = c.flat()
    assert (flat["learning_rate"], flat["model_learning_rate"]) == (0.5, 0.25)
    own = {f.name for f in dataclasses.fields(DynaConfig)} - {"agent", "model"}
    assert own | {f.name for f in dataclasses.fields(PPOConfig)} < set(flat)
    rest = set(flat) - own - {f.name for f in dataclasses.fields(PPOConfig)}
    assert all(name.startswith("model_") for name in rest)


@pytest.mark.parametrize(
    "c",
    [
        DynaConfig(),
        DynaConfig(model=None),
        config(planning_ratio=0.3, augment=True, ensemble_size=2, max_disagreement=0.5),
        config(model_kind="environment", planning_starts="buffer", actor="odd", clip_value=0.0),
        config(model_predict_change=False, model_hidden_units=(3,), max_model_steps=None),
    ],
    ids=["defaults", "no model", "ensemble", "environment", "model"],
)
def test_flat_names_and_json_give_the_config_back(c):
    assert DynaConfig.from_flat(**c.flat()) == c
    assert DynaConfig.from_flat(**json.loads(json.dumps(c.flat()))) == c
    assert DynaConfig.from_json(json.loads(json.dumps(c.to_json()))) == c
    assert (c.flat()["model_kind"] == "environment") == (c.model is None)


def test_json_keeps_what_has_no_flat_name():
    c = DynaConfig(
        model=TransitionModelConfig(kind="gcnn-proximal", selection="soft", temperature=0.5)
    )
    assert DynaConfig.from_json(json.loads(json.dumps(c.to_json()))) == c


def test_names_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match=r"hyperparameters of Dyna\. Received also: \['colour'\]"):
        config(colour="blue")
    # How it is fitted in Dyna is said by fields of Dyna's own.
    for name in ("model_num_epochs", "model_anneal_learning_rate"):
        with pytest.raises(ValueError, match=rf"Received also: \['{name}'\]"):
            config(**{name: 3})
    written = DynaConfig().to_json()
    with pytest.raises(ValueError, match="those of DynaConfig.*imagination"):
        DynaConfig.from_json({**written, "imagination": 1})
    for part, known in (("agent", "PPOConfig"), ("model", "TransitionModelConfig")):
        with pytest.raises(ValueError, match=f"those of {known}.*colour"):
            DynaConfig.from_json({**written, part: {**written[part], "colour": "blue"}})
    # A DynaConfig says other things than a PPOConfig does.
    with pytest.raises(ValueError, match="those of PPOConfig"):
        PPOConfig.from_json(written)


def test_a_config_of_numpy_numbers_is_json_and_back():
    c = config(
        planning_ratio=np.float32(0.5),
        warmup_timesteps=np.int64(3),
        model_hidden_units=[np.int64(4), 6],
        model_match_parameters=np.int64(900),
        model_batch_size=np.int64(17),
        model_learning_rate=np.float32(0.25),
        buffer_size=np.int32(70),
        augment=True,
        ensemble_size=2,
        max_disagreement=0.5,
    )
    written = json.loads(json.dumps(c.to_json()))
    assert DynaConfig.from_json(written) == c
    assert written["model"]["hidden_units"] == [4, 6]


def test_changes_are_predicted_where_states_are_real_numbers_unless_it_is_said():
    chosen = config(model_hidden_units=(3,), model_predict_change=False).model
    undecided = config(model_hidden_units=(3,)).model
    for name, model, change in (
        ("CartPole", undecided, True),
        ("Catch", undecided, False),
        ("CartPole", chosen, False),
    ):
        env = envs.make(name)
        expected = transition_model(
            env.symmetry,
            model.kind,
            (3,),
            observation_shape=env.observation_shape,
            head=env.transition_head,
            predict_change=change,
        )
        layers = [type(layer) for layer in build_model(env, model).layers]
        assert layers == [type(layer) for layer in expected.layers]
