"""Environments by name."""

from __future__ import annotations

import pytest

from tf_equirl import envs
from tf_equirl.envs import registry


def test_make_by_name():
    env = envs.make("CartPole", max_episode_steps=7)
    assert isinstance(env, envs.CartPole)
    assert env.max_episode_steps == 7
    assert envs.make(env) is env
    assert "CartPole" in envs.names()


@pytest.mark.parametrize("name", ["Cartpole", "CartPol", "cart-pole"])
def test_an_unknown_name_suggests_near_ones(name):
    with pytest.raises(ValueError, match=f"Did you mean CartPole.*Received: environment='{name}'"):
        envs.make(name)


@pytest.mark.parametrize("name", ["xyzzy", [], None])
def test_a_far_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match="must be one of: .*CartPole") as error:
        envs.make(name)
    assert "Did you mean" not in str(error.value)


def test_wrong_constructor_arguments():
    with pytest.raises(ValueError, match="colour"):
        envs.make("CartPole", colour="red")
    with pytest.raises(ValueError, match="no further arguments"):
        envs.make(envs.CartPole(), dtype="float64")


def test_register(monkeypatch):
    monkeypatch.setattr(registry, "_CONSTRUCTORS", dict(registry._CONSTRUCTORS))
    envs.register("ShortCartPole", lambda: envs.CartPole(max_episode_steps=3))
    assert "ShortCartPole" in envs.names()
    assert envs.make("ShortCartPole").max_episode_steps == 3
    with pytest.raises(ValueError, match="must be free"):
        envs.register("CartPole", envs.CartPole)
    with pytest.raises(ValueError, match="must be callable"):
        envs.register("Other", 3)
