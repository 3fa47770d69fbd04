"""Bad values for constructors: every seventh trial here, all of them in tests/faults."""

import functools
import inspect

import numpy as np
import pytest

import tf_equirl
from tests.package import bad_values
from tf_equirl import agents, distributions, dyna, dynamics, envs, groups, layers, models
from tf_equirl.envs import trading
from tf_equirl.models import heads

# Base classes, and what the library makes and hands to the user.
NOT_CALLED = {
    *("Distribution", "BaseEnvironment", "Environment", "EquivariantLinear", "Head"),
    *("CartPoleState", "CatchState", "GridWorldState", "SnakeState", "Picture"),
    *("ControlTask", "ControlState", "ReacherState", "PixelsState", "TradingState"),
    *("Irrep", "PairOrbits", "Transitions"),
    *("EquivarianceCertificate", "SymmetryGaps", "Recommendation"),
    *("SymmetryReport", "OutcomeReport", "TwoSampleReport", "Discovery", "NearMiss"),
    *("Progress", "DynaProgress", "FitProgress", "NonFiniteError", "KerasNetwork"),
    *(
        "TrainingResult",
        "DQNResult",
        "SACResult",
        "DrQv2Result",
        "DynaResult",
        "TransitionResult",
        "TransitionEquivariance",
    ),
}

SUBJECTS = bad_values.constructors()


def test_bad_values_are_refused_by_name():
    counts, wrong = bad_values.run(SUBJECTS, every=7)
    unexpected = [line for line in wrong if not bad_values.OF_KERAS.search(line)]
    assert not unexpected, "\n".join(unexpected)
    assert sum(sum(counter.values()) for counter in counts.values()) > 3000
    assert all(counter["refused"] for counter in counts.values())


def test_a_wrong_outcome_is_told():
    """Each way to end badly, so that the trials can fail."""

    def careless(number):
        if number is None:
            raise ValueError("not so")
        if number is True:
            raise ValueError("`number` must be a number. Received: " + "1" * 10**4)
        return number + 1

    right = {"number": bad_values.number()}
    _, wrong = bad_values.run([bad_values.Subject(careless, {"number": 1}, right)])
    told = {line.split("=<")[1].split(">")[0]: line for line in wrong}
    assert "does not name it" in told["None"]
    assert "a message of" in told["True"]
    assert "accepts it" in told["nan"]
    assert "TypeError" in told["text"]
    assert "-1" not in told


def test_every_public_constructor_is_tried():
    packages = (groups, layers, models, heads, distributions, envs, trading, agents, dynamics, dyna)
    names = {name for package in packages for name in getattr(package, "__all__", vars(package))}
    public = set()
    for name in names - NOT_CALLED:
        for package in packages:
            found = getattr(package, name, None)
            if inspect.isclass(found) and found.__module__.startswith(tf_equirl.__name__):
                public.add(found)
    tried = {subject.call for subject in SUBJECTS}
    assert sorted(kind.__name__ for kind in public - tried) == []


@pytest.mark.parametrize("subject", SUBJECTS, ids=bad_values.title)
def test_every_argument_is_tried_in_a_call_that_is_right_otherwise(subject):
    call = subject.call
    if isinstance(call, type) and issubclass(call, envs.BaseEnvironment):
        call = functools.partial(call.__init__, None)  # 3.10 shows `__new__(*args, **kwargs)`
    parameters = inspect.signature(call).parameters.values()
    named = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
    assert named <= set(subject.valid)
    subject.call(**subject.valid)


def test_numpy_numbers_and_lists_are_right_values():
    config = agents.PPOConfig(
        total_timesteps=np.int64(2048),
        num_environments=np.uint8(8),
        learning_rate=np.float32(0.5),
        discount=1,
        anneal_learning_rate=np.bool_(True),
        hidden_units=[np.int32(3), 4],
    )
    assert config.hidden_units == (3, 4) and config.learning_rate == 0.5
    assert type(config.num_environments) is int and config.anneal_learning_rate is True
    group = groups.cyclic_group(np.int64(2))
    rep = groups.permutation_representation(group, [(0, 1), (1, 0)])
    symmetry = groups.Symmetry(group, state=rep, action=rep)
    model = models.actor(
        symmetry, hidden_units=[np.int64(2)], observation_shape=np.array([1, 2]), name=None
    )
    assert model.input_shape == (None, 1, 2)
    layer = layers.ProximalPooling(representation=rep, temperature=np.float32(2), tie=1)
    assert layer.temperature == 2.0
    assert envs.Catch(rows=np.int64(4), columns=3).rows == 4
