"""Small zoos for the tests: untrained models with true cards."""

import json

import keras
import numpy as np

from tf_equirl import envs, evaluation, models, publishing, zoo
from tf_equirl.agents import PPOConfig
from tf_equirl.publishing.policy import equivariance_fields
from tf_equirl.zoo.records import file_record


def make_entry(folder, name="cartpole-ppo-gcnn", environment="CartPole", kind="gcnn", **changes):
    """Writes the folder of a model, without touching the index; returns its path.

    `changes` replace fields of the card; a function gets the card and changes it in place.
    """
    place = folder / name
    place.mkdir(parents=True)
    env = envs.make(environment)
    keras.utils.set_random_seed(0)
    networks = {
        "actor": models.actor(env.symmetry, kind, (4, 4)),
        "critic": models.critic(env.symmetry, "mlp", (4, 4)),
    }
    observations = np.random.default_rng(0).normal(size=(64, *env.observation_shape))
    observations = observations.astype(np.float32)
    outputs = {}
    for role, network in networks.items():
        # The builders' biases are zero and would hide what is lost of them.
        network.set_weights([w + np.float32(0.1) for w in network.get_weights()])
        network.save(place / f"{role}.keras")
        outputs[role] = keras.ops.convert_to_numpy(network(observations))
    np.savez(
        place / "golden.npz",
        observations=observations,
        logits=outputs["actor"],
        values=outputs["critic"],
    )
    for picture in ("learning_curve.png", "episode.gif"):
        (place / picture).write_bytes(picture.encode())
    card = {**_card(name, env, kind, networks), **changes}
    return write_card(place, card)


def make_transition_entry(folder, name="cartpole-transition-gcnn", environment="CartPole"):
    """Writes the folder of a transition model, without touching the index; returns its path."""
    place = folder / name
    place.mkdir(parents=True)
    env = envs.make(environment)
    keras.utils.set_random_seed(0)
    model = models.transition_model(env.symmetry, "gcnn-readout", (4,), head=env.transition_head)
    model.set_weights([w + np.float32(0.1) for w in model.get_weights()])
    model.save(place / "transition.keras")
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(64, *env.observation_shape)).astype(np.float32)
    actions = np.eye(env.num_actions, dtype=np.float32)[rng.integers(env.num_actions, size=64)]
    np.savez(
        place / "golden.npz",
        observations=observations,
        actions=actions,
        outputs=keras.ops.convert_to_numpy(model([observations, actions])),
    )
    (place / "training_curve.png").write_bytes(b"training_curve.png")
    return write_card(place, _transition_card(name, env, model))


def write_card(place, card, with_checksums=True):
    """Writes `card.json` and `README.md`; the checksums are those of the files beside them."""
    if with_checksums:
        files = [f for f in place.iterdir() if f.name not in ("card.json", "README.md")]
        card = {**card, "files": {file.name: file_record(file) for file in sorted(files)}}
    (place / "card.json").write_text(json.dumps(card, indent=2))
    publishing.write_readme(place)
    return place


def read_card(place):
    return json.loads((place / "card.json").read_text())


def make_zoo(folder):
    """A zoo of two models with an index; returns its folder."""
    make_entry(folder)
    make_entry(folder, "catch-ppo-mlp", "Catch", "mlp")
    publishing.write_index(folder)
    return folder


def _card(name, env, kind, networks):
    # The scores are not those of these models; who needs true ones measures them.
    scores = {
        "episodes": 100,
        "seed": 7,
        "mean": 9.5,
        "standard_error": 0.12,
        "minimum": 8.0,
        "maximum": 11.0,
        "success_rate": 0.0,
        "success": "return of at least 500",
    }
    error = {"max": 2.1e-7, "mean": 1.2e-7}
    return {
        **_common(name, env, f"A small {kind} agent for {env.name}."),
        "networks": {
            role: {
                "kind": kind if role == "actor" else "mlp",
                "class": "keras functional",
                "parameters": network.count_params(),
                "input_shape": list(network.input_shape[1:]),
                "output_shape": list(network.output_shape[1:]),
                "meaning": "logits" if role == "actor" else "value",
            }
            for role, network in networks.items()
        },
        "config": PPOConfig(actor=kind, hidden_units=(4, 4), total_timesteps=1024).to_json(),
        "training": {
            **_training("The seed with the highest greedy return, so the best of 4."),
            "publish_command": f"python -m launchers.publish --run_dir=runs/x --name={name}",
            "command": f"python -m launchers.train_ppo --env={env.name} --num_seeds=4 "
            + ("" if kind == "gcnn" else f"--actor={kind} ")
            + "--hidden_units=4,4 --total_timesteps=1024 --run_dir=runs/x",
            "timesteps": 1024,
            "mean_return": 21.25,
        },
        "evaluation": {"greedy": dict(scores), "sampled": dict(scores)},
        "equivariance": {"actor": dict(error), "critic": dict(error), "states": 1000},
    }


def _transition_card(name, env, model):
    # None of the numbers is true; who needs true ones measures them.
    metrics = env.transition_head.metric_names
    return {
        **_common(name, env, f"A small transition model for {env.name}."),
        "type": "transition model",
        "head": {
            "class": "RealHead",
            "meaning": "the next state",
            "sizes": list(model.output_shape[1:]),
            "metrics": list(metrics),
        },
        "networks": {
            "transition": {
                "kind": "gcnn-readout",
                "class": "keras functional",
                "parameters": model.count_params(),
                "input_shape": [list(tensor.shape[1:]) for tensor in model.inputs],
                "output_shape": list(model.output_shape[1:]),
                "meaning": "next state",
            }
        },
        "config": {"kind": "gcnn-readout", "hidden_units": [4]},
        "data": {
            "meaning": "Half of this, half of that",
            "transitions": 4000,
            "provenance": {"made_by": "a test", "seed": 3},
            "again": "Made again by the test",
        },
        "training": {
            **_training("The lowest error of 4."),
            "epochs": 7,
            "mean_error": 0.000213,
            "mean_error_of": "mean square on 500 transitions",
            "standard_error": 0.000031,
        },
        "evaluation": {
            "meaning": "half of them at random",
            "transitions": 300,
            "seed": 7,
            "metrics": {name: {"mean": 0.25, "standard_error": 0.012} for name in metrics},
            "rollout": {"starts": 50, "meaning": "it goes on", "errors": [0.25, 1.5]},
            "all_pairs": None,
        },
        "equivariance": {
            "pairs": 10_000,
            "meaning": "A pair counts if it commutes",
            "share": 1.0,
            "mode_share": None,
            "max": 2.1e-7,
            "mean": 1.2e-7,
        },
    }


def _common(name, env, description):
    return {
        "format": 1,
        "name": name,
        "description": description,
        "use": "For tests.",
        "environment": {
            "name": env.name,
            "gymnasium_id": f"tf_equirl/{env.name}-v{env.version}",
            "config": env.get_config(),
        },
        "symmetry": {
            "group": env.symmetry.group.name,
            "state": "turned | mirrored",
            "action": "swapped",
            "data": env.symmetry.get_config(),
        },
        "licence": "Apache-2.0",
        "limits": ["Untrained.", "Only for tests."],
        "files": {},
    }


def _training(rule):
    return {
        "seeds": [0, 1, 2, 3],
        "kept_seed": 2,
        "rule": rule,
        "command": "python -m launchers.train --num_seeds=4",
        "publish_command": "python -m launchers.publish --run_dir=runs/x",
        "standard_error": 1.5,
        "num_seeds": 4,
        "git_commit": "0123456789abcdef",
        "versions": {"python": "3.11.7", "keras": keras.__version__},
    }


def measure(folder, name):
    """Gives a model's card its true scores, and writes the index."""
    place = folder / name
    card = read_card(place)
    for kind, scores in card["evaluation"].items():
        found = evaluation.evaluate(
            zoo.load_model(place / "actor.keras"),
            card["environment"]["name"],
            episodes=scores["episodes"],
            greedy=kind == "greedy",
            seed=scores["seed"],
        )
        scores.update(
            mean=found.mean,
            standard_error=found.standard_error,
            minimum=found.minimum,
            maximum=found.maximum,
            success_rate=found.success_rate(zoo.success_return(scores)),
        )
    env = envs.make(card["environment"]["name"])
    for role in ("actor", "critic"):
        network = zoo.load_model(place / f"{role}.keras")
        card["equivariance"][role] = equivariance_fields(network, env, 1000)
    write_card(place, card)
    publishing.write_index(folder)
    return card
