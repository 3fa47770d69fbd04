"""Environments by name."""

from __future__ import annotations

import sys

import pytest
import windy

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


@pytest.fixture
def of_ones_own(tmp_path, monkeypatch):
    """The current directory is one with a module `windy_module`, which was not imported yet."""
    (tmp_path / "windy_module.py").write_text(windy.SOURCE)
    (tmp_path / "broken_module.py").write_text("1 / 0")
    (tmp_path / "needy_module.py").write_text("import nowhere_at_all")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield tmp_path
    assert sys.path == before
    for name in ("windy_module", "broken_module", "needy_module"):
        sys.modules.pop(name, None)


def test_a_class_of_a_module_in_the_current_directory(of_ones_own):
    env = envs.make("windy_module:Windy", wind=0.5)
    assert (type(env).__module__, env.name, env.wind) == ("windy_module", "Windy", 0.5)
    assert registry.environment_of("windy_module:calm").wind == 0.0
    assert "windy_module:Windy" not in envs.names()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nowhere_at_all:Windy", {}, "there is no module 'nowhere_at_all'"),
        ("windy_module.sub:Windy", {}, "module that can be imported"),
        ("needy_module:Windy", {}, "raised ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("broken_module:Windy", {}, "raised ZeroDivisionError: division by zero"),
        ("windy_module:Wendy", {}, "its environments are: Windy"),
        ("windy_module:LineState", {}, "a subclass of tf_equirl.envs.Environment"),
        ("windy_module:number", {}, "a subclass of .*, which is 3"),
        ("windy_module:three", {}, "makes an Environment.*which made 3"),
        ("windy_module:Unfinished", {}, "defines initial_state, observe, transition"),
        ("windy_module:Windy", {"colour": 1}, "`kwargs` must be arguments of .*colour"),
        ("windy_module:", {}, 'must be "module:Class"'),
        (":Windy", {}, 'must be "module:Class"'),
        ("a b:c", {}, 'must be "module:Class"'),
    ],
)
def test_what_is_wrong_with_a_module_and_class_is_said(of_ones_own, name, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        envs.make(name, **arguments)
    assert "Received: " in str(error.value)


def test_errors_of_the_constructor_are_its_own(of_ones_own):
    with pytest.raises(ValueError, match="max_episode_steps"):
        envs.make("CartPole", max_episode_steps=0)


def test_a_recipe_makes_an_environment_again(of_ones_own):
    calm = envs.make("windy_module:calm", steps=3)
    for env, recipe in (
        (envs.CartPole(), {"make": "CartPole", "arguments": {}}),
        (envs.Catch(7, columns=3), {"make": "Catch", "arguments": {"rows": 7, "columns": 3}}),
        (
            calm,
            {
                "make": "windy_module:Windy",
                "arguments": {"wind": 0.0, "max_episode_steps": 3},
            },
        ),
    ):
        assert registry.recipe(env) == recipe
        again = envs.make(recipe["make"], **recipe["arguments"])
        assert type(again) is type(env)
        assert again.get_config() == env.get_config()


def test_what_no_recipe_can_say():
    class Local(envs.Catch):
        """Of a function."""

    assert registry.recipe(Local()) is None


def test_a_recipe_calls_nothing_but_what_makes_environments(of_ones_own, tmp_path, monkeypatch):
    """A file may say anything."""
    assert registry.from_recipe({"make": "windy_module:calm", "arguments": {}}).wind == 0.0
    for name in ("os:getcwd", "builtins:print", "subprocess:check_output", "windy_module:three"):
        with pytest.raises(ValueError, match="a module that is here|Environment"):
            registry.from_recipe({"make": name, "arguments": {}})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="or a function of a module that is here"):
        registry.from_recipe({"make": "windy_module:calm", "arguments": {}})
    for how in (None, [], {"make": "CartPole"}, {"make": "CartPole", "arguments": []}):
        with pytest.raises(ValueError, match="a dict of `make` and `arguments`"):
            registry.from_recipe(how)
    env = registry.from_recipe({"make": "windy_module:Windy", "arguments": {"wind": 0.5}})
    assert env.wind == 0.5
