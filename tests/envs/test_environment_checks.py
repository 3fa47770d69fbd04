"""An environment that breaks the rules is told so in words; its arguments are part of a run."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import dynamics, evaluation, models
from tf_equirl.envs import CartPole, Catch, Environment, check_environment
from tf_equirl.groups import Symmetry, cyclic_group, trivial_representation
from tf_equirl.training.run_folder import describe_environment, identity, same


class SlideState(NamedTuple):
    """Where it is."""

    place: tf.Tensor
    steps: tf.Tensor


class Slide(Environment):
    """Slides along a line; every argument of a test replaces one of its functions."""

    name = "Slide"
    observation_shape = (1,)
    num_actions = 2
    num_uniforms = 1
    max_episode_steps = 9

    def __init__(self, friction=0.5, layout="maze_1", *, walls=(1, 2)):
        self.friction = friction
        group = cyclic_group(2)
        self.symmetry = Symmetry(
            group, trivial_representation(group), trivial_representation(group, 2)
        )

    def initial_state(self, uniforms):
        return SlideState(uniforms[..., 0], tf.zeros(uniforms.shape[:-1], tf.int32))

    def observe(self, state):
        return state.place[..., None]

    def transition(self, state, action, uniforms):
        place = state.place * self.friction + tf.cast(action, tf.float32)
        return SlideState(place, state.steps), place, place > 3.0


@pytest.mark.parametrize("make", [CartPole, Catch, Slide, lambda: CartPole(dtype="float64")])
def test_environments_that_keep_to_the_rules_pass(make):
    check_environment(make())


def failing(*_):
    raise KeyError("friction")


WRONG = {
    "a state of lists": ("initial_state", lambda u: [u], "a state that is a NamedTuple"),
    "float steps": (
        "initial_state",
        lambda u: SlideState(u[..., 0], u[..., 0]),
        r"`steps` as int32 \[2, 3\].*returned float32 \[2, 3\]",
    ),
    "no leading dimensions": (
        "initial_state",
        lambda u: SlideState(tf.zeros([]), tf.zeros(u.shape[:-1], tf.int32)),
        r"field place is a tensor with the leading dimensions \[2, 3\].*returned float32 \[\]",
    ),
    "float64 observations": (
        "observe",
        lambda state: tf.cast(state.place[..., None], tf.float64),
        r"float32 \[2, 3, 1\].*returned float64 \[2, 3, 1\]",
    ),
    "flat observations": ("observe", lambda state: state.place, r"returned float32 \[2, 3\]"),
    "arrays": ("observe", lambda state: np.zeros([2, 3, 1]), "float32 \\[2, 3, 1\\], for"),
    "two things": ("transition", lambda s, a, u: (s, s.place), "the next state, the reward and"),
    "another type of state": (
        "transition",
        lambda s, a, u: (s._replace(place=tf.cast(a, tf.int64)), s.place, s.place > 0),
        r"field place is what it was, float32 \[2, 3\].*returned int64",
    ),
    "integer rewards": ("transition", lambda s, a, u: (s, a, s.place > 0), "rewards float32"),
    "one reward for all": (
        "transition",
        lambda s, a, u: (s, tf.reduce_sum(s.place), s.place > 0),
        r"returned float32 \[\]",
    ),
    "float ends": ("transition", lambda s, a, u: (s, s.place, s.place), "terminated, bool"),
    "an error": ("transition", failing, "transition raised KeyError: 'friction'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_words(what):
    function, wrong, message = WRONG[what]
    env = Slide()
    setattr(env, function, wrong)
    with pytest.raises(ValueError, match=rf"env\.{function} must (return )?.*{message}") as error:
        check_environment(env)
    assert len(str(error.value)) < 600


class Counting:
    """Remembers how often it was called."""

    count = 0

    def __call__(self, state, action, uniforms):
        self.count += 1
        return state, state.place + self.count, state.place > 1.0


HIDDEN = {
    "NumPy's numbers": (
        "initial_state",
        lambda u: SlideState(u[..., 0] + np.random.rand(), tf.zeros(u.shape[:-1], tf.int32)),
    ),
    "TensorFlow's numbers": (
        "observe",
        lambda state: state.place[..., None] + tf.random.uniform([]),
    ),
    "a memory": ("transition", Counting()),
}


@pytest.mark.parametrize("what", HIDDEN)
def test_what_is_no_function_of_its_arguments_is_found(what):
    function, wrong = HIDDEN[what]
    env = Slide()
    setattr(env, function, wrong)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"env\.{function} must be a function of") as error:
            check_environment(env)
        assert "Received: env=Slide, whose" in str(error.value)


def test_randomness_from_the_uniform_numbers_is_allowed():
    env = Slide()
    env.transition = lambda s, a, u: (s._replace(place=u[..., 0]), u[..., 0], u[..., 0] > 0.9)
    check_environment(env)


def test_missing_attributes_are_named():
    class Unfinished(Slide):
        """Without the constructor that sets the symmetry."""

        def __init__(self):
            pass

    with pytest.raises(ValueError, match="Received: env=Unfinished, without symmetry"):
        check_environment(Unfinished())


@pytest.mark.parametrize(
    "use",
    [
        lambda env, actor: evaluation.evaluate(actor, env, 2),
        lambda env, actor: evaluation.record(actor, env),
        lambda env, actor: dynamics.collect_transitions(env, actor, 4),
    ],
)
def test_whoever_steps_an_environment_says_so_in_words(use):
    env = Slide()
    env.transition = lambda s, a, u: (s, tf.constant(1.0), s.place > 3.0)
    actor = models.actor(env.symmetry, "mlp", (2,))
    message = r"env\.transition must return rewards float32 \[2, 3\].*returned float32 \[\]"
    with pytest.raises(ValueError, match=message):
        use(env, actor)


def test_the_check_takes_an_environment_only():
    with pytest.raises(ValueError, match="`env` must be an Environment. Received: env='CartPole'"):
        check_environment("CartPole")


def run_identity(env):
    return identity(describe_environment(env))


def test_every_argument_tells_environments_apart():
    plain = run_identity(Slide())
    assert plain == run_identity(Slide(0.5, "maze_1")) == run_identity(Slide(friction=0.5))
    others = [Slide(0.9), Slide(layout="maze_2"), Slide(layout="maze"), Slide(walls=(1, 3))]
    assert len({plain, *map(run_identity, others)}) == 5
    assert describe_environment(Slide(0.9))["environment_config"]["arguments"] == {
        "friction": 0.9,
        "layout": "maze_1",
        "walls": [1, 2],
    }


def test_environments_that_describe_themselves_are_taken_at_their_word():
    assert "arguments" not in CartPole(max_episode_steps=7).get_config()
    assert "arguments" not in Catch().get_config()


@pytest.mark.parametrize(
    "value", [(1, (2, 3)), float("nan"), np.float32(0.5), np.arange(3), np.int64(4), {"a": None}]
)
def test_a_config_of_plain_values_comes_back_the_same(value):
    env = Slide(friction=value)
    found = describe_environment(env)
    assert same(found, describe_environment(Slide(friction=value)))
    assert not same(found, describe_environment(Slide(friction=7)))


@pytest.mark.parametrize("value", [len, {1: 2}, {1, 2}, object(), 1j])
def test_a_config_that_cannot_be_written_down_is_named(value):
    with pytest.raises(ValueError, match=r"get_config\(\) of Slide must hold .*Received: argum"):
        describe_environment(Slide(friction=value))
