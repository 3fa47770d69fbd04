"""Members with configs of their own: what may differ, and that nothing else does."""

import dataclasses

import numpy as np
import pytest
from training_cases import (
    Reinforce,
    ReinforceConfig,
    Stop,
    Walk,
    WalkConfig,
    dense_network,
    events_of,
)

from tf_equirl import envs
from tf_equirl.training import NonFiniteError, train
from tf_equirl.training.members import as_configs, check_configs, members_of, part_of
from tf_equirl.training.run import Run
from tf_equirl.training.saved import read_run

CONFIG = ReinforceConfig(learning_rate=1e-2)
CONFIGS = [
    CONFIG,
    dataclasses.replace(CONFIG, learning_rate=3e-3, anneal_learning_rate=True),
    dataclasses.replace(CONFIG, max_gradient_norm=0.01, adam_beta_1=0.5),
    dataclasses.replace(CONFIG, adam_beta_2=0.9, adam_epsilon=1e-2),
]
SEEDS = [3, 7]


def learner(config=CONFIG):
    return Reinforce(envs.make("CartPole"), config, dense_network())


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs") / "run"
    return train(learner(), SEEDS, folder, configs=CONFIGS)


def same(one, other):
    np.testing.assert_array_equal(one.returns, other.returns)
    for name, values in one.metrics.items():
        np.testing.assert_array_equal(values, other.metrics[name])
    for role, of_role in one.weights.items():
        for ours, theirs in zip(of_role, other.weights[role], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert one.config == other.config and one.seeds == other.seeds


def test_each_is_what_a_run_of_its_config_alone_gives(together):
    for number, config in enumerate(CONFIGS):
        # As many members as in the run of all: another number may be rounded otherwise.
        others = [s for s in range(20, 26)]
        alone = train(learner(config), [*SEEDS, *others])
        found = together[number]
        np.testing.assert_array_equal(found.returns, alone.returns[:2])
        for ours, theirs in zip(found.weights["actor"], alone.weights["actor"], strict=True):
            np.testing.assert_array_equal(ours, theirs[:2])
        assert found.config == config and found.finished
    curves = {result.weights["actor"][0].tobytes() for result in together}
    assert len(curves) == len(CONFIGS), "every config must matter"


def test_a_run_that_is_interrupted_goes_on_to_the_same_numbers(together, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(learner(), SEEDS, tmp_path / "run", configs=CONFIGS, on_progress=Stop(1))
    with pytest.raises(ValueError, match="holds another run; it differs in configs"):
        train(learner(), SEEDS, tmp_path / "run", configs=CONFIGS[:2], resume=True)
    for one, other in zip(
        train(learner(), SEEDS, tmp_path / "run", configs=CONFIGS, resume=True),
        together,
        strict=True,
    ):
        same(one, other)


def test_a_folder_has_the_results_of_each(together):
    folder = together[0].run_dir.parent
    found = read_run(folder, "reinforce")
    configs = found.configs(ReinforceConfig)
    assert found.several and configs == CONFIGS
    for one, other in zip(found.result(learner(), configs), together, strict=True):
        same(one, other)
    for number, result in enumerate(together):
        assert result.run_dir == folder / f"config-{number}"
        rows = (result.run_dir / "results.csv").read_text().splitlines()
        assert len(rows) == 1 + len(SEEDS) * CONFIG.num_updates
        stored = np.load(result.run_dir / "returns.npz")
        assert stored["seeds"].tolist() == SEEDS
        assert stored["returns"].shape[-1] == len(SEEDS)
        steps, means = events_of(result.run_dir, "training/" + next(iter(result.metrics)))
        assert len(steps) == CONFIG.num_updates
        expected = next(iter(result.metrics.values())).mean(axis=0)
        np.testing.assert_allclose(means, expected, rtol=1e-5)
    assert not (folder / "results.csv").exists()


def test_one_that_becomes_infinite_is_named_with_its_config_and_the_others_go_on():
    configs = [CONFIG, dataclasses.replace(CONFIG, learning_rate=1e30), CONFIGS[1]]
    with (
        pytest.warns(RuntimeWarning, match=r"seed [37] of config\[1\] became non-finite") as told,
        pytest.raises(NonFiniteError, match=r"4 of 6 seeds are unharmed") as caught,
    ):
        train(learner(), SEEDS, configs=configs)
    assert any("seed 3 of config[1]" in str(warning.message) for warning in told)
    results = caught.value.result
    assert caught.value.seeds == (3, 7)
    assert [bool(np.isnan(r.returns[:, -1]).any()) for r in results] == [False, True, False]


def test_time_is_shared_out(together):
    run = Run(learner(), tuple(SEEDS), None, None, tuple(CONFIGS))
    run.make_calls()
    seconds = sum(run.state.seconds.values())
    parts = run.outcome().parts(len(CONFIGS))
    assert sum(sum(part.seconds.values()) for part in parts) == pytest.approx(seconds)


def test_members_are_all_seeds_of_one_config_after_the_other():
    members = members_of((5, 2), 3)
    assert [(m.config, m.seed) for m in members] == [(0, 5), (0, 2), (1, 5), (1, 2), (2, 5), (2, 2)]
    assert [m.seed for m in members[part_of(1, 2)]] == [5, 2]
    assert {m.config for m in members[part_of(1, 2)]} == {1}


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        (
            [CONFIG, dataclasses.replace(CONFIG, rollout_steps=5)],
            r"must differ in nothing but learning_rate, .*max_gradient_norm\. Received: "
            r"rollout_steps=15 in config\[0\], rollout_steps=5 in config\[1\]",
        ),
        (
            [WalkConfig(), WalkConfig(learning_rate=0.2)],
            r"must differ in nothing but their seeds\. Received: learning_rate=0.1 in config\[0\]",
        ),
    ],
)
def test_configs_that_differ_in_the_program_are_refused_before_any_work(configs, message, tmp_path):
    made = Walk(configs[0]) if isinstance(configs[0], WalkConfig) else learner(configs[0])
    with pytest.raises(ValueError, match=message):
        train(made, SEEDS, tmp_path / "run", configs=configs)
    assert not (tmp_path / "run").exists()


def test_a_field_that_may_be_missing_is_missing_everywhere_or_nowhere():
    from tf_equirl.dynamics.config import TransitionModelConfig
    from tf_equirl.training.optimizer import OPTIMIZER_FIELDS

    configs = [TransitionModelConfig(), TransitionModelConfig(max_gradient_norm=1.0)]
    with pytest.raises(ValueError, match="must all have a max_gradient_norm other than 0 and None"):
        check_configs(configs, OPTIMIZER_FIELDS)
    check_configs(
        [TransitionModelConfig(max_gradient_norm=x) for x in (1.0, 2.0)], OPTIMIZER_FIELDS
    )


@pytest.mark.parametrize("given", [[], "config", 3, [CONFIG, None], [CONFIG, WalkConfig()]])
def test_what_is_no_config_is_refused_by_name(given):
    with pytest.raises(ValueError, match=r"config.* must be a .*ReinforceConfig"):
        as_configs(given, ReinforceConfig)


def test_a_config_a_list_and_nothing_are_told_apart():
    assert as_configs(None, ReinforceConfig) == (ReinforceConfig(), None)
    assert as_configs(CONFIG, ReinforceConfig) == (CONFIG, None)
    assert as_configs(CONFIGS[:2], ReinforceConfig) == (CONFIGS[0], tuple(CONFIGS[:2]))
