"""What is declared of gymnasium's environments is what their dynamics does."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from tf_equirl import envs
from tf_equirl.envs import symmetries
from tf_equirl.groups import Symmetry, cyclic_group, trivial_representation

C2 = cyclic_group(2)
ROOT = Path(__file__).parents[2]


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs the extra `{package.lower()}`")


MUJOCO, BOX2D = needs("mujoco"), needs("Box2D")
EXACT = [
    *("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1"),
    *(
        pytest.param(name, marks=MUJOCO)
        for name in ("Reacher-v5", "Swimmer-v5", "Walker2d-v5", "Ant-v5")
    ),
]


@pytest.mark.parametrize("name", EXACT)
def test_exact_symmetries(name):
    report = envs.check_symmetry(name, samples=150)
    assert report.verdict == "exact" and report.relative < 1e-11
    # Each element of the group is needed: another action, or none, breaks it.
    declared = envs.declared_symmetry(name)
    trivial = trivial_representation(declared.group, declared.action.dim)
    wrong = envs.check_symmetry(name, dataclasses.replace(declared, action=trivial), samples=40)
    assert wrong.verdict == "broken"


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        pytest.param("InvertedPendulum-v5", 1e-3, 1e-2, marks=MUJOCO),
        pytest.param("InvertedDoublePendulum-v5", 1e-7, 1e-5, marks=MUJOCO),
    ],
)
def test_approximate_symmetries(name, least, most):
    report = envs.check_symmetry(name, samples=150)
    assert report.verdict == "approximate" and least < report.relative < most


def test_the_valley_is_symmetric_up_to_its_wall_and_goal():
    for name, level in (("MountainCar-v0", 1e-12), ("MountainCarContinuous-v0", 1e-4)):
        symmetry = envs.declared_symmetry(name)
        states = np.random.default_rng(0).uniform([-1, -0.05], [0.0, 0.05], size=(100, 2))
        assert envs.check_symmetry(name, symmetry, states=states).relative < level
        states[:50, 0] = -1.19
        report = envs.check_symmetry(name, symmetry, states=states)
        assert report.verdict == "broken" and 0.1 < report.broken_share[1] <= 0.5
        states[:50] = [0.49, 0.06]
        assert envs.check_symmetry(name, symmetry, states=states).terminated[1] == 0.5


@MUJOCO
def test_humanoid_is_nearly_symmetric_because_its_sides_differ():
    env = gymnasium.make("Humanoid-v5", include_cfrc_ext_in_observation=False)
    symmetry = envs.declared_symmetry(env)
    assert symmetry.state.dim == 348 - 78
    as_it_is = envs.check_symmetry(env, samples=150)
    model = env.unwrapped.model
    model.jnt_stiffness[model.joint("right_knee").id] = 1.0
    model.dof_armature[model.joint("right_hip_y").dofadr[0]] = 0.01
    mended = envs.check_symmetry(env, symmetry, samples=150)
    assert mended.relative < 5e-3 < 4 * mended.relative + 1e-2 < as_it_is.relative
    assert envs.check_symmetry("Humanoid-v5", samples=20).names[-1] == "left lower_arm force_z"


@BOX2D
@pytest.mark.parametrize("name", ["LunarLander-v3", "LunarLanderContinuous-v3"])
def test_transitions_of_the_lander_are_like_their_images(name):
    report = envs.check_symmetry(name)
    assert isinstance(report, envs.TwoSampleReport) and report.verdict == "not rejected"
    assert report.episodes > 50 and report.samples == 10_000
    declared = envs.declared_symmetry(name)
    trivial = trivial_representation(C2, declared.action.dim)
    wrong = envs.check_symmetry(name, Symmetry(C2, declared.state, trivial))
    assert wrong.verdict == "broken" and min(wrong.corrected) == 0.001
    assert "a[1] x change of vx" in wrong.differences[1]  # the side engines' push


def test_environments_without_a_symmetry():
    for name in ("Hopper-v5", "HalfCheetah-v5"):
        assert envs.declared_symmetry(name) is None
        assert symmetries.declaration(name).why.startswith("none: ")
    assert envs.declared_symmetry("Taxi-v3") is symmetries.declaration("Taxi-v3") is None
    with pytest.raises(ValueError, match="`env` must be an id of gymnasium's or a gymnasium.Env"):
        envs.declared_symmetry(3)


def test_an_environment_that_observes_something_else_has_none():
    env = gymnasium.make("CartPole-v1")
    assert envs.declared_symmetry(env) == envs.declared_symmetry("CartPole-v1")
    longer = gymnasium.wrappers.TimeAwareObservation(env)
    assert envs.declared_symmetry(longer) is None


def test_reflections_by_words():
    names, actions = ["left arm", "right arm", "height"], ["left arm", "right arm"]
    mirror = envs.reflection(names, actions, ["arm"], {"left": "right"}, {"height": 2.0})
    np.testing.assert_array_equal(mirror.state.matrices[1], [[0, -1, 0], [-1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(mirror.action.matrices[1], [[0, -1], [-1, 0]])
    assert mirror.center == (0.0, 0.0, 2.0)
    with pytest.raises(ValueError, match="takes 'left arm' to 'right arm'.*Received: swaps="):
        envs.reflection(["left arm"], actions, [], {"left": "right"})
    with pytest.raises(ValueError, match="`center` must name coordinates: .'left arm'"):
        envs.reflection(actions, actions, [], center={"leg": 1.0})
    with pytest.raises(ValueError, match="`flips` must be a list of words"):
        envs.reflection(actions, actions, "arm")
    with pytest.raises(ValueError, match="`names` must be a list of different strings"):
        envs.reflection(["x", "x"], actions, [])


def test_the_documented_table_has_every_environment():
    text = (ROOT / "docs/environments.md").read_text()
    for name, declared in symmetries.DECLARED.items():
        assert re.search(rf"^\| `{name}` \|.*{re.escape(declared.why)} \|$", text, re.M), name
        if declared.symmetry is not None:
            assert len(re.findall(rf"^\| `{name}`", text, re.M)) >= 2, name
