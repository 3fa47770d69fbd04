"""Small zoos for the tests: untrained models with true cards."""

import json

import keras
import numpy as np

from tf_equirl import envs, evaluation, models, zoo
from tf_equirl.zoo import cards
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


def write_card(place, card, with_checksums=True):
    """Writes `card.json` and `README.md`; the checksums are those of the files beside them."""
    if with_checksums:
        files = [f for f in place.iterdir() if f.name not in ("card.json", "README.md")]
        card = {**card, "files": {file.name: file_record(file) for file in sorted(files)}}
    (place / "card.json").write_text(json.dumps(card, indent=2))
    zoo.write_readme(place)
    return place


def read_card(place):
    return json.loads((place / "card.json").read_text())


def make_zoo(folder):
    """A zoo of two models with an index; returns its folder."""
    make_entry(folder)
    make_entry(folder, "catch-ppo-mlp", "Catch", "mlp")
    zoo.write_index(folder)
    return folder


def _card(name, env, kind, networks):
    # The scores are not those of these models; who needs true ones measures them.
    scores = {
        "episodes": 20,
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
        "format": 1,
        "name": name,
        "description": f"A small {kind} agent for {env.name}.",
        "use": "For tests.",
        "environment": {
            "name": env.name,
            "gymnasium_id": f"tf_equirl/{env.name}-v1",
            "config": env.get_config(),
        },
        "symmetry": {
            "group": env.symmetry.group.name,
            "state": "turned | mirrored",
            "action": "swapped",
            "data": env.symmetry.get_config(),
        },
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
        "config": {"actor": kind, "hidden_units": [4, 4], "learning_rate": 0.00035},
        "training": {
            "seeds": [0, 1, 2, 3],
            "kept_seed": 2,
            "rule": "The seed with the highest greedy return, so the best of 4.",
            "timesteps": 1000,
            "command": "python -m launchers.train_ppo --num_seeds=4",
            "publish_command": "python -m launchers.publish --run_dir=runs/x",
            "mean_return": 21.25,
            "standard_error": 1.5,
            "num_seeds": 4,
            "git_commit": "0123456789abcdef",
            "versions": {"python": "3.11.7", "keras": keras.__version__},
        },
        "evaluation": {"greedy": dict(scores), "sampled": dict(scores)},
        "equivariance": {"actor": dict(error), "critic": dict(error), "states": 1000},
        "licence": "Apache-2.0",
        "limits": ["Untrained.", "Only for tests."],
        "files": {},
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
            success_rate=found.success_rate(cards.success_return(scores)),
        )
    write_card(place, card)
    zoo.write_index(folder)
    return card
