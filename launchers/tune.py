"""Searches hyperparameters, many trials side by side in compiled programs.

    python -m launchers.tune --search=learning_rate,entropy_coefficient --actor=gcnn
    python -m launchers.tune --agent=dqn --search=learning_rate,target_update_period
    python -m launchers.tune --agent=dyna --search=learning_rate,model_learning_rate
    python -m launchers.tune --agent=drqv2 --search=learning_rate,tau --env_arg=task=Reacher
    python -m launchers.tune --search='learning_rate:1e-3..1e-1,gae_lambda:0.9|0.95|1'

Flags of hyperparameters say what the others are. Prints the best trials and writes best.json, which
--config of the launchers that train takes, trials.csv, and a plot of what mattered.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich
from absl import flags

from tf_equirl.agents import DQNConfig, DrQv2Config, PPOConfig, SACConfig
from tf_equirl.dyna.config import DynaConfig
from tf_equirl.training.search_space import Space, declared_spaces, parse_space

from . import common, config_flags, run_flags

if TYPE_CHECKING:
    from tf_equirl.experiments.tuning import Search

_AGENTS: dict[str, Any] = {
    "ppo": PPOConfig,
    "dqn": DQNConfig,
    "sac": SACConfig,
    "drqv2": DrQv2Config,
    "dyna": DynaConfig,
}
_TRAINERS = {name: f"train_{name}" for name in _AGENTS}
_AGENT = flags.DEFINE_enum(
    "agent",
    "ppo",
    [*_AGENTS],
    "what is tuned; drqv2 in a control task that a camera sees, unless --env says otherwise",
)
_SEARCH = flags.DEFINE_list(
    "search",
    None,
    "hyperparameters that are searched: a name searches the space that is declared beside it, "
    "name:low..high another range, name:value|value these values (default: learning_rate, "
    "anneal_learning_rate and entropy_coefficient, of dqn, sac and drqv2 learning_rate alone)",
)
_DEFAULTS = dict.fromkeys(
    ("ppo", "dyna"), ("learning_rate", "anneal_learning_rate", "entropy_coefficient")
) | dict.fromkeys(("dqn", "sac", "drqv2"), ("learning_rate",))
_TRIALS = flags.DEFINE_integer("trials", 32, "how many trials, at most")
_METHOD = flags.DEFINE_enum(
    "method",
    "random",
    ["random", "halving", "optuna"],
    "random search; successive halving, where the best go on to longer runs; or Optuna's "
    "tree-structured Parzen estimator (needs the extra `tune`)",
)
_OBJECTIVE = flags.DEFINE_enum(
    "objective", "area", ["area", "final"], "mean return over the run, or at its end"
)
_ENVIRONMENT_STEPS = flags.DEFINE_integer(
    "max_environment_steps", None, "environment steps of all trials and seeds, at most"
)
_GRADIENT_STEPS = flags.DEFINE_integer(
    "max_gradient_steps", None, "gradient steps of all trials and seeds, at most"
)
_RANDOM_SEED = flags.DEFINE_integer("random_seed", 0, "of the choice of trials")
run_flags.define(
    16,
    "agents of each trial",
    "runs/<env>-tune-<agent>-<date and time>",
    "go on with the search in run_dir; flags left out are taken from it",
)
flags.FLAGS.set_default("first_seed", 1000)
_known: set[str] = set()
for _kind in (DynaConfig, DQNConfig, SACConfig, DrQv2Config):
    config_flags.define_config_flags(_kind, known=_known)
    _known |= {*config_flags.config_fields(_kind)}
config_flags.define_base_flags()
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them
flags.adopt_module_key_flags(run_flags)


def main() -> None:
    """Searches, prints the table, writes what was found."""
    from tf_equirl import experiments
    from tf_equirl._files import write_text_atomically
    from tf_equirl.envs.registry import environment_of
    from tf_equirl.experiments import tuning

    begun = run_flags.resumed()
    search = _search(None if begun is None else tuning.Search.load(begun))
    name = environment_of(search.env).name
    folder = run_flags.run_dir(name.lower(), "tune", _AGENT.value)
    run_flags.claim(folder)
    tuned = search.run(folder, resume=begun is not None, call=_call)
    title = (
        f"{name}: mean return ({search.objective}) ± two standard errors over "
        f"{len(search.seeds)} seeds, {len({t.number for t in tuned.trials})} trials"
    )
    rich.print(tuning.trials_table(tuned, title=title))
    for field, share in tuning.importance(tuned, search.space).items():
        told = "too few trials to tell" if math.isnan(share) else f"{100 * share:.0f} %"
        print(f"differences between trials that {field} alone explains: {told}")
    print(
        f"{tuned.environment_steps:,} environment steps, {tuned.gradient_steps:,} gradient steps, "
        f"{sum(t.seconds for t in tuned.trials):.0f} s"
    )
    best = folder / "best.json"
    write_text_atomically(best, json.dumps(tuned.best_config.to_json(), indent=2))
    write_text_atomically(folder / "trials.csv", experiments.to_csv(tuning.trial_rows(tuned)))
    tuning.plot_search(tuned, search.space, folder / "search.png")
    print(f"folder: {folder}\nwhat mattered: {folder / 'search.png'}")
    print(f"best config: {best}, for --config of {_TRAINERS[_agent(search.config)]}")


def _search(found: Search | None) -> Search:
    """What the flags describe; those that are not given stay as in `found`, if there is one."""
    from tf_equirl.experiments.tuning import Search

    agent = _AGENT.value if found is None else _agent(found.config)
    if common.given("agent") and agent != _AGENT.value:
        raise ValueError(f"--agent must be that of the search. Received: --agent={_AGENT.value}")
    kind = _AGENTS[agent]
    base = config_flags.base_config(kind, found and found.config) or kind()
    _refuse_others(agent)
    fields = config_flags.fields_from_flags(kind, only_given=True)
    config = base
    if fields and kind is DynaConfig:
        config = DynaConfig.from_flat(**{**base.flat(), **fields})
    elif fields:
        config = dataclasses.replace(base, **fields)
    options: dict[str, Any] = {
        flag.name: flag.value
        for flag in (
            _TRIALS,
            _METHOD,
            _OBJECTIVE,
            _ENVIRONMENT_STEPS,
            _GRADIENT_STEPS,
            _RANDOM_SEED,
        )
        if found is None or common.given(flag.name)
    }
    if found is None:
        if kind is DrQv2Config:
            flags.FLAGS.set_default("env", common.PIXELS)
        env = run_flags.environment(None)
        return Search(env, config, _spaces(config), seeds=run_flags.seeds(None), **options)
    if common.given("env", "env_arg"):
        options["env"] = run_flags.environment(None)
    if common.given("search"):
        options["space"] = _spaces(config)
    options["seeds"] = run_flags.seeds({"seeds": found.seeds})
    return dataclasses.replace(found, config=config, **options)


def _spaces(config: Any) -> dict[str, Space]:
    declared = declared_spaces(config)
    spaces = {}
    chosen = _DEFAULTS[_agent(config)] if _SEARCH.value is None else _SEARCH.value
    for item in chosen:
        name, colon, text = item.partition(":")
        if colon:
            spaces[name] = parse_space(name, text, declared.get(name))
        elif name in declared:
            spaces[name] = declared[name]
        else:
            raise ValueError(
                f"search must name hyperparameters with a declared space ({', '.join(declared)}), "
                f"or say which: {name}:low..high. Received: search={','.join(chosen)}"
            )
    return spaces


def _agent(config: Any) -> str:
    """What `--agent` calls the agent of a config."""
    return next(name for name, kind in _AGENTS.items() if isinstance(config, kind))


def _refuse_others(agent: str) -> None:
    """Refuses flags that are hyperparameters of other agents."""
    own = config_flags.config_fields(_AGENTS[agent])
    for other, kind in _AGENTS.items():
        for name in config_flags.config_fields(kind):
            if name not in own and common.given(name):
                what = {"dyna": "planning", "drqv2": "DrQ-v2"}.get(other, other.upper())
                raise ValueError(
                    f"--{name} is a hyperparameter of {what}, for --agent={other}. Received: "
                    f"--agent={agent}"
                )


def _call(trainer: Any, *arguments: Any, **options: Any) -> Any:
    """Calls the trainer with a progress bar that names the trials."""
    run_dir = next(x for x in arguments if isinstance(x, Path))
    return common.with_progress(trainer, *arguments, label=run_dir.name, **options)


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: run_flags.how_to_go_on("tune"))


if __name__ == "__main__":
    run()
