"""The text of a model's `README.md`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tf_equirl.publishing.markdown import (
    code,
    inline,
    percent,
    rows,
    seeds_in_words,
    shapes,
    text,
    with_error,
)
from tf_equirl.zoo.card_rules import validate_card
from tf_equirl.zoo.card_types import POLICY, type_of


def card_to_markdown(card: dict[str, Any]) -> str:
    """The text of a model's `README.md`.

    Raises:
        ValueError: If the card breaks the rules of `validate_card`.
    """
    validate_card(card)
    environment, symmetry, training = card["environment"], card["symmetry"], card["training"]
    networks = {role: card["networks"][role] for role in type_of(card).outputs}
    is_policy = type_of(card) == POLICY
    lines = [
        f"# {card['name']}",
        text(card["description"]),
        *(
            f"![{Path(file).stem.replace('_', ' ')}]({file})"
            for file in sorted(card["files"], reverse=True)  # learning curve before episode
            if file.endswith((".png", ".gif"))
        ),
        "This page is written from [card.json](card.json).",
        "## Use",
        text(card["use"]),
        *(_policy_use if is_policy else _transition_use)(card),
        "## What it is",
        rows(
            ["", ""],
            [
                [
                    "environment",
                    text(_environment(environment)),
                ],
                ["its settings", inline(environment["config"])],
                ["symmetry group", text(symmetry["group"])],
                ["acts on states", text(symmetry["state"])],
                ["acts on actions", text(symmetry["action"])],
            ],
        ),
        rows(
            ["network", "kind", "parameters", "shapes", "meaning", "class"],
            [
                [
                    role,
                    text(network["kind"]),
                    f"{network['parameters']:,}",
                    shapes(network),
                    text(network["meaning"]),
                    text(network["class"]),
                ]
                for role, network in networks.items()
            ],
        ),
        *(
            f"Layers of the {role}: {'; '.join(map(text, network['layers']))}."
            for role, network in networks.items()
            if network.get("layers")
        ),
        *([] if is_policy else _head(card["head"])),
        "Groups and representations stand in `card.json` as data, under `symmetry.data`: "
        "`tf_equirl.groups.Symmetry.from_config` reads them.",
        "## Evaluation",
        *(_policy_evaluation if is_policy else _transition_evaluation)(card),
        "## Training",
        *(_policy_training if is_policy else _transition_training)(card),
        f"Kept here: seed {training['kept_seed']}. Rule: {text(training['rule'])}",
        "To train it again, and to write this folder from the run, in a checkout of the commit"
        f"{', with the module of the environment in it' if _is_own(environment) else ''}:",
        code(f"{training['command']}\n{training['publish_command']}"),
        f"Commit: {text(training['git_commit'] or 'not recorded')}. Versions: "
        f"{text(', '.join(f'{k} {v}' for k, v in training['versions'].items()))}.",
        "The full configuration:",
        code(json.dumps(card["config"], indent=2)),
        "## Limits",
        "\n".join(f"- {text(limit)}" for limit in card["limits"]),
        "## Licence",
        text(card["licence"]),
        "## Files",
        rows(
            ["file", "bytes", "SHA-256"],
            [
                [file, f"{record['bytes']:,}", f"`{record['sha256']}`"]
                for file, record in sorted(card["files"].items())
            ],
        ),
    ]
    return "\n\n".join(lines) + "\n"


def _is_own(environment: dict[str, Any]) -> bool:
    return ":" in environment.get("recipe", {"make": ""})["make"]


def _environment(environment: dict[str, Any]) -> str:
    words = [environment["name"]]
    if environment["gymnasium_id"] is not None:
        words.append(f"in gymnasium {environment['gymnasium_id']}")
    if "recipe" in environment:
        how = environment["recipe"]
        words.append(f"made by {how['make']} with {json.dumps(how['arguments'])}")
    return ", ".join(words)


def _load(card: dict[str, Any]) -> str:
    """The call that loads the model."""
    folder = ', "path/of/this/zoo"' if card.get("zoo") == "own" else ""
    return f'zoo.load("{card["name"]}"{folder})'


def _make(environment: dict[str, Any]) -> str:
    """The call that makes the environment."""
    how = environment.get("recipe", {"make": environment["name"], "arguments": {}})
    arguments = "".join(f", {name}={value!r}" for name, value in how["arguments"].items())
    return f'envs.make("{how["make"]}"{arguments})'


def _is_categorical(card: dict[str, Any]) -> bool:
    return card["networks"]["actor"]["meaning"].startswith("logits")


def _policy_use(card: dict[str, Any]) -> list[str]:
    networks = card["networks"]
    outputs = "logits" if _is_categorical(card) else "parameters"
    return [
        "```python\n"
        "from tf_equirl import zoo\n\n"
        f"entry = {_load(card)}\n"
        f"{outputs} = entry.actor(observations)  # {shapes(networks['actor'])}\n"
        f"values = entry.critic(observations)  # {shapes(networks['critic'])}\n"
        "```",
        'After `import tf_equirl`, `keras.models.load_model("actor.keras")` does as well.',
    ]


def _transition_use(card: dict[str, Any]) -> list[str]:
    return [
        "```python\n"
        "from tf_equirl import envs, zoo\n\n"
        f"entry, env = {_load(card)}, {_make(card['environment'])}\n"
        f"# {shapes(card['networks']['transition'])}; actions are one-hot\n"
        "outputs = entry.transition_model([observations, actions])\n"
        "next_states = env.decode(env.transition_head.prediction(outputs))\n"
        "```",
        'After `import tf_equirl`, `keras.models.load_model("transition.keras")` does as well.',
    ]


def _head(head: dict[str, Any]) -> list[str]:
    return [
        f"Output ({text(head['class'])}): {text(head['meaning'])}. "
        f"Sizes: {', '.join(map(str, head['sizes']))}."
    ]


def _policy_evaluation(card: dict[str, Any]) -> list[str]:
    evaluation, equivariance = card["evaluation"], card["equivariance"]
    acts = "mean action, sampled adds the noise that it was trained with."
    if _is_categorical(card):
        acts = "action of the largest logit, sampled draws it from their softmax."
    return [
        f"Return of whole episodes, mean ± standard error over episodes. Greedy takes the {acts}",
        rows(
            ["actions", "episodes", "seed", "return", "minimum", "maximum", "success", "means"],
            [
                [
                    kind,
                    f"{scores['episodes']:,}",
                    str(scores["seed"]),
                    with_error(scores),
                    f"{scores['minimum']:g}",
                    f"{scores['maximum']:g}",
                    percent(scores["success_rate"]),
                    scores["success"],
                ]
                for kind, scores in ((kind, evaluation[kind]) for kind in ("greedy", "sampled"))
            ],
        ),
        f"Equivariance error on {equivariance['states']:,} states together, as a share of the "
        "output's norm, over the group elements but the identity:",
        rows(
            ["", "largest", "mean"],
            [
                [role, f"{equivariance[role]['max']:.1e}", f"{equivariance[role]['mean']:.1e}"]
                for role in ("actor", "critic")
            ],
        ),
    ]


def _transition_evaluation(card: dict[str, Any]) -> list[str]:
    evaluation, equivariance = card["evaluation"], card["equivariance"]
    rollout, all_pairs = evaluation["rollout"], evaluation["all_pairs"]
    of_all = [] if all_pairs is None else [f"all {all_pairs['pairs']:,} pairs"]
    modes = equivariance["mode_share"]
    of_modes = "" if modes is None else f" (of most likely categories: {percent(modes)})"
    return [
        f"On {evaluation['transitions']:,} transitions of seed {evaluation['seed']}, mean ± "
        f"standard error over transitions: {text(evaluation['meaning'])}.",
        rows(
            ["measure", "fresh transitions", *(f"{text} of state and action" for text in of_all)],
            [
                [
                    text(metric.replace("_", " ")),
                    with_error(scores),
                    *(f"{all_pairs[metric]:.4g}" for _ in of_all),
                ]
                for metric, scores in evaluation["metrics"].items()
            ],
        ),
        f"Several steps ahead, from {rollout['starts']:,} of these states: "
        f"{text(rollout['meaning'])}.",
        rows(
            ["steps", *(str(step) for step in range(1, len(rollout["errors"]) + 1))],
            [["error", *(f"{error:.2g}" for error in rollout["errors"])]],
        ),
        f"Equivariance: {percent(equivariance['share'])} of {equivariance['pairs']:,} pairs of "
        f"state and action{of_modes}; largest error {equivariance['max']:.1e}, mean "
        f"{equivariance['mean']:.1e}. {text(equivariance['meaning'])}.",
    ]


def _policy_training(card: dict[str, Any]) -> list[str]:
    training = card["training"]
    of = f" ({text(training['mean_return_of'])})" if "mean_return_of" in training else ""
    return [
        f"{_seeds(training)} for {training['timesteps']:,} steps each. "
        f"Their mean return{of} {_over_seeds(training, 'mean_return')}."
    ]


def _transition_training(card: dict[str, Any]) -> list[str]:
    training, data = card["training"], card["data"]
    return [
        f"Data: {text(data['meaning'])}. {text(data['again'])}. Their provenance:",
        code(json.dumps(data["provenance"], indent=2)),
        f"{_seeds(training)} for {training['epochs']:,} epochs each. "
        f"Their mean error ({text(training['mean_error_of'])}) "
        f"{_over_seeds(training, 'mean_error')}.",
    ]


def _seeds(training: dict[str, Any]) -> str:
    return f"Seeds {seeds_in_words(training['seeds'])} were trained"


def _over_seeds(training: dict[str, Any], mean: str) -> str:
    return (
        f"± standard error over {training['num_seeds']} "
        f"{'seed' if training['num_seeds'] == 1 else 'seeds'}: {with_error(training, mean)}"
    )
