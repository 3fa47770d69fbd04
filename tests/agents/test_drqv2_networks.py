"""The networks of DrQ-v2: their laws, at the start and after updates, budgets, deployment."""

import dataclasses

import keras
import numpy as np
import pytest
from drqv2_cases import SMALL, small_pixels

from tf_equirl import envs, models
from tf_equirl.agents.drqv2.networks import check_networks, make_networks, policy_model
from tf_equirl.exporting import to_plain
from tf_equirl.models.on_encoder import ENCODER_KINDS, on_encoder
from tf_equirl.models.widths import trained_parameters

TASKS = ("CartPoleSwingup", "Reacher")  # the mirror, and D2


def networks_of(env, kind, **fields):
    config = dataclasses.replace(SMALL, networks=kind, **fields)
    return make_networks(env, config)


def randomize(networks, rng, names=None):
    """Any weights, as training might give; the laws hold for all of them."""
    for model in networks:
        for variable in model.trainable_variables:
            if names is None or variable.name in names:
                variable.assign(variable + 0.3 * rng.standard_normal(variable.shape))


def errors(env, networks, rng):
    """The largest errors of the laws of actor and critic, by element of the group."""
    count = 5
    pictures = rng.uniform(-0.5, 0.5, [count, env.symmetry.state.dim]).astype(np.float32)
    actions = rng.uniform(-1, 1, [count, env.symmetry.action.dim]).astype(np.float32)

    def outputs(pictures, actions):
        seen = networks.encoder(pictures.reshape(count, *env.observation_shape))
        return networks.actor(seen).numpy(), networks.critic(
            [seen, keras.ops.convert_to_tensor(actions)]
        ).numpy()

    means, values = outputs(pictures, actions)
    assert means.std(axis=0).min() > 1e-4 and values.std(axis=0).min() > 1e-4
    found = []
    for element in env.symmetry.group.elements:
        of_images = outputs(
            env.symmetry.move_states(element, pictures),
            env.symmetry.move_actions(element, actions),
        )
        expected = env.symmetry.move_actions(element, means), values
        found.append([np.abs(a - b).max() for a, b in zip(of_images, expected, strict=True)])
    return np.array(found)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_policy_and_critic_obey_their_laws_end_to_end(task, kind):
    env, rng = small_pixels(task), np.random.default_rng(0)
    networks = networks_of(env, kind, prior_scale=0.0)
    randomize(networks, rng, ("bias", "kernel"))
    found = errors(env, networks, rng)
    assert (found[0] < 1e-6).all()
    if kind == "cnn":
        assert (found[1:] > 1e-3).all()
    else:
        assert (found < 2e-5).all()
    if kind in models.RELAXED_KINDS:  # which may learn to break it
        randomize(networks, rng)
        assert (errors(env, networks, rng)[1:] > 1e-3).all()


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_laws_hold_for_features_that_are_pooled(pooling):
    env, rng = small_pixels("Reacher"), np.random.default_rng(0)
    networks = networks_of(env, "gcnn", pooling=pooling)
    assert networks.encoder.output_shape == (None, 4 * 2)
    assert (errors(env, networks, rng) < 2e-5).all()


def test_a_budget_is_that_of_all_networks():
    env = envs.Pixels(size=45)
    config = dataclasses.replace(
        SMALL,
        networks="cnn",
        filters=(16, 16, 16, 16),
        kernel_sizes=(3, 4, 4, 3),
        strides=(2, 2, 2, 1),
        features=50,
        hidden_units=(128, 128),
    )
    free = sum(map(trained_parameters, make_networks(env, config)))
    assert make_networks(env, config).encoder.output_shape == (None, 2 * 2 * 16)
    for kind in ("gcnn", "relaxed"):
        own = dataclasses.replace(config, networks=kind, match_parameters=free)
        found = sum(map(trained_parameters, make_networks(env, own)))
        assert abs(found / free - 1) < 0.03


def test_published_sizes():
    """Of pictures of 85 pixels, as in the paper's encoder: 42, 20, 9 and 7."""
    config = dataclasses.replace(
        SMALL, networks="cnn", filters=(2, 2, 2, 2), kernel_sizes=(3, 4, 4, 3), strides=(2, 2, 2, 1)
    )
    env = envs.Pixels(size=85)
    assert make_networks(env, config).encoder.output_shape == (None, 7 * 7 * 2)


def test_the_policy_is_one_model_that_is_exported_plainly(tmp_path):
    env, rng = small_pixels("Reacher"), np.random.default_rng(0)
    networks = networks_of(env, "gcnn")
    randomize(networks, rng)
    policy = policy_model(networks.encoder, networks.actor, 0.1, 2)
    pictures = env.observe(env.reset([0, 1], [6])).numpy()
    found = policy(pictures).numpy()
    np.testing.assert_allclose(found[:, :2], networks.actor(networks.encoder(pictures)))
    np.testing.assert_allclose(found[:, 2:], np.log(0.1), rtol=1e-6)
    plain = to_plain(policy)
    np.testing.assert_allclose(plain(pictures), found, atol=1e-5)
    models.save(policy, tmp_path / "policy.keras")
    again = keras.models.load_model(tmp_path / "policy.keras")
    np.testing.assert_allclose(again(pictures), found, atol=1e-6)


def test_what_does_not_fit_is_refused():
    env = small_pixels()
    networks = networks_of(env, "cnn")
    with pytest.raises(ValueError, match="encoder must take observations of CartPoleSwingupPixels"):
        check_networks(small_pixels(size=15), networks)
    other = networks_of(small_pixels("Reacher"), "cnn")
    with pytest.raises(ValueError, match="actor must give actions of CartPoleSwingupPixels"):
        check_networks(env, networks._replace(actor=other.actor))
    with pytest.raises(ValueError, match="critic must take a list of features and actions"):
        check_networks(env, networks._replace(critic=other.critic))
    with pytest.raises(ValueError, match="`symmetry` must be one whose state is an image_rep"):
        on_encoder(envs.make("CartPoleSwingup").symmetry)
    with pytest.raises(ValueError, match="`kind` must be one of cnn, gcnn, relaxed, rpp"):
        on_encoder(env.symmetry, "mlp")
    with pytest.raises(ValueError, match="lie symmetrically in the width.*Kernel sizes that fit"):
        networks_of(small_pixels(size=14), "gcnn")
    assert networks_of(small_pixels(size=14), "cnn").encoder.output_shape == (None, 4 * 4 * 2)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (envs.make("CartPole"), "`env` must have continuous actions"),
        (envs.Pixels(size=13, policy="squashed_gaussian"), 'policy="gaussian"'),
        (envs.make("CartPoleSwingup"), "symmetry=|image_representation"),
    ],
)
def test_environments_that_it_cannot_learn_in(env, message):
    with pytest.raises(ValueError, match=message):
        make_networks(env, SMALL)
