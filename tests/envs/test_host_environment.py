"""Environments of gymnasium's as ours, and what is refused of them."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium_cases import Counter, Slide

from tf_equirl import envs
from tf_equirl.distributions import Categorical, Gaussian, SquashedGaussian
from tf_equirl.groups import (
    Symmetry,
    cyclic_group,
    permutation_representation,
    signed_permutation_representation,
    trivial_representation,
)

C2 = cyclic_group(2)


def flip(*signs):
    return signed_permutation_representation(
        C2, [list(range(len(signs)))] * 2, [[1] * len(signs), signs]
    )


def test_an_id_makes_one():
    env = envs.make("MountainCar-v0")
    assert isinstance(env, envs.HostEnvironment)
    assert (env.name, env.gymnasium_id) == ("MountainCar-v0",) * 2
    assert env.observation_shape == (2,) and env.max_episode_steps == 200
    assert isinstance(env.action_distribution, Categorical) and env.num_actions == 3
    low, high = env.observation_bounds()
    np.testing.assert_allclose(low, [-1.2, -0.07], rtol=1e-6)
    np.testing.assert_allclose(high, [0.6, 0.07], rtol=1e-6)
    assert "rgb_array" in env.render_modes


def test_an_id_with_its_module_is_made_again_from_its_recipe():
    env = envs.make("gymnasium.envs.classic_control:Pendulum-v1")
    again = envs.registry.from_recipe(envs.registry.recipe(env))
    assert again.get_config() == env.get_config()


def test_the_gymnasium_id_of_ours_is_made_as_ours_steps():
    env = envs.make("tf_equirl/Catch-v0")
    assert env.observation_shape == envs.make("Catch").observation_shape


def test_arguments_reach_the_environment_and_its_config():
    env = envs.make("Pendulum-v1", g=3.0, max_episode_steps=17, policy="squashed_gaussian")
    assert env.max_episode_steps == 17
    assert isinstance(env.action_distribution, SquashedGaussian)
    made = env.make_env()
    assert made.unwrapped.g == 3.0
    assert env.get_config()["arguments"] == {"g": 3.0}
    assert env.get_config() != envs.make("Pendulum-v1").get_config()


def test_a_dict_is_flattened_in_the_order_of_its_keys():
    env = envs.HostEnvironment(Slide)
    assert (env.name, env.observation_shape) == ("Slide", (3,))
    distribution = env.action_distribution
    assert isinstance(distribution, Gaussian) and distribution.action_shape == (2,)
    seen, _ = env.make_env().reset(seed=0)
    np.testing.assert_allclose(seen[:2], np.random.default_rng(0).uniform(-1, 1, 2), rtol=1e-6)
    space = Slide().observation_space
    at, velocity = flip(-1, -1), trivial_representation(C2)
    rho = envs.observation_representation(space, {"velocity": velocity, "at": at})
    np.testing.assert_array_equal(rho.matrices[1], np.diag([-1, -1, 1]))
    with pytest.raises(ValueError, match=r"parts\['at'\]` must be of dimension 2"):
        envs.observation_representation(space, {"velocity": velocity, "at": velocity})
    with pytest.raises(ValueError, match="`parts` must be given for at, velocity"):
        envs.observation_representation(space, {"at": at})
    with pytest.raises(ValueError, match="`parts` must be a dict for a Dict space"):
        envs.observation_representation(space, (at, velocity))
    pair = spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (1,))])
    swap = permutation_representation(C2, [[0, 1], [1, 0]])
    rho = envs.observation_representation(pair, (swap, flip(-1)))
    np.testing.assert_array_equal(rho.matrices[1], [[0, 1, 0], [1, 0, 0], [0, 0, -1]])


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (spaces.Discrete(5), 5),
        (spaces.MultiBinary(4), 4),
        (spaces.MultiDiscrete([2, 3]), 5),
        (spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (2, 2))]), 6),
        (spaces.Box(-1, 1, ()), 1),
    ],
    ids=str,
)
def test_other_spaces_are_flattened(space, size):
    class Other(Counter):
        def __init__(self):
            super().__init__()
            self.observation_space = space
            space.seed(0)

        def _seen(self):
            return space.sample()

    env = envs.HostEnvironment(Other)
    assert env.observation_shape == (size,)
    vector = env.vector(3)
    assert env.observed(vector.reset(seed=0)[0]).shape == (3, size)


def test_a_class_of_gymnasiums_is_made_by_module_and_class():
    env = envs.make("gymnasium_cases:Slide", low=-2.0, high=2.0, max_episode_steps=9)
    assert env.max_episode_steps == 9 and env.name == "gymnasium_cases:Slide"
    np.testing.assert_array_equal(env.action_distribution.high, [2.0, 2.0])
    again = envs.registry.recipe(env)
    assert envs.make(again["make"], **again["arguments"]).get_config() == env.get_config()
    with pytest.raises(ValueError, match="`kwargs` must be arguments of .*colour"):
        envs.make("gymnasium_cases:Slide", colour=1)


class Unflat(Counter):
    def __init__(self):
        super().__init__()
        self.observation_space = spaces.Dict({"list": spaces.Sequence(spaces.Discrete(3))})


class Many(Counter):
    def __init__(self):
        super().__init__()
        self.action_space = spaces.MultiDiscrete([2, 2])


def symmetry(state, action):
    return Symmetry(C2, state=state, action=action)


SWAP = permutation_representation(C2, [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Nothing-v7",), "gymnasium can make"),
        (("Pendulum-v1", None), {"colour": 1}),
        ((3,), "`env` must be an id of gymnasium's or a function"),
        ((dict,), "`env` must be a function that returns a gymnasium.Env"),
        ((Unflat,), "observations that gymnasium can flatten.*Sequence"),
        ((Many,), "actions of a Discrete or a Box space.*MultiDiscrete"),
        ((Counter, symmetry(flip(1, 1, 1), SWAP)), "symmetry.state.*dimension 2: the 2 numbers"),
        ((Counter, symmetry(flip(1, 1), flip(1, 1, 1))), "symmetry.action.*dimension 2"),
        ((Counter, symmetry(flip(1, 1), flip(1, -1))), "a permutation of discrete actions"),
        ((Counter, "C2"), "`symmetry` must be"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(arguments, message):
    kwargs = {}
    if isinstance(message, dict):
        kwargs, message = message, "gymnasium can make.*colour"
    with pytest.raises(ValueError, match=message):
        envs.HostEnvironment(*arguments, **kwargs)


def test_a_box_that_the_symmetry_moves_is_refused():
    def lopsided():
        return Slide(low=-1.0, high=2.0)

    both = Symmetry(C2, state=flip(-1, -1, 1), action=flip(-1, -1))
    envs.HostEnvironment(Slide, both)
    with pytest.raises(ValueError, match=r"element 1 .*from \[-1.0, -1.0\] .. \[2.0, 2.0\]"):
        envs.HostEnvironment(lopsided, both)
    with pytest.raises(ValueError, match="finite for a squashed"):
        envs.HostEnvironment(lambda: Slide(-np.inf, np.inf), policy="squashed_gaussian")


def test_options_are_checked():
    for options, message in [
        ({"vectorization": "threads"}, "`vectorization` must be one of"),
        ({"policy": "beta"}, "`policy` must be one of"),
        ({"max_episode_steps": 0}, "`max_episode_steps` must be a positive integer"),
        ({"vectorization": "vector_entry_point"}, "another one where env is a function"),
        ({"gravity": 3}, "`kwargs` must be empty"),
    ]:
        with pytest.raises(ValueError, match=message):
            envs.HostEnvironment(Counter, **options)
    env = envs.HostEnvironment(
        Counter, vectorization=lambda n: gymnasium.make_vec("CartPole-v1", n)
    )
    with pytest.raises(ValueError, match="`vectorization` must be a function that makes"):
        env.vector(2)


def test_planning_in_a_model_asks_for_an_environment_in_tensorflow():
    from tf_equirl.dyna import train_dyna

    with pytest.raises(ValueError, match="must be written in TensorFlow here.*CartPole-v1"):
        train_dyna("CartPole-v1", seeds=[0])
