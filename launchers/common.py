"""What the launchers share: progress, errors, help and Ctrl-C.

A launcher imports what it runs when it runs, so that help and wrong flags need not wait for it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, flags

if TYPE_CHECKING:
    from tf_equirl import envs
    from tf_equirl.dyna import DynaResult
    from tf_equirl.training import TrainingResult


ENV = "the environment: a name, or module:Class of your own, looked for in this folder too"
ENV_ARG = "name=value of an argument of its constructor, as --env_arg=wind=0.5; may be repeated"

PIXELS = "tf_equirl.envs.pixels:Pixels"
"""The environment of DrQ-v2 where none is named."""

ZOO_DIR = "folder of a zoo of your own (default: the one that comes with tf_equirl)"


def environment(name: str, arguments: list[str]) -> envs.Environment:
    """What `--env` and `--env_arg` name.

    Raises:
        ValueError: If an argument is no `name=value`, or the environment cannot be made.
    """
    from tf_equirl import envs

    kwargs: dict[str, Any] = {}
    for text in arguments:
        key, equals, value = text.partition("=")
        if not key.isidentifier() or not equals or key in kwargs:
            raise ValueError(
                "env_arg must be name=value, each name once, as in --env_arg=wind=0.5. "
                f"Received: env_arg={text}"
            )
        try:
            kwargs[key] = json.loads(value)
        except ValueError:  # a text
            kwargs[key] = value
    return envs.make(name, **kwargs)


def parse_integers(name: str, texts: list[str]) -> tuple[int, ...]:
    """The integers of a list flag.

    Raises:
        ValueError: If one of them is no integer.
    """
    try:
        return tuple(int(text) for text in texts)
    except ValueError as error:
        raise ValueError(
            f"{name} must list integers. Received: {name}={','.join(texts)}"
        ) from error


def read_json(name: str, file: str) -> Any:
    """What the JSON file of a flag holds.

    Raises:
        ValueError: If it cannot be read, or is no JSON.
    """
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{name} must be a JSON file. Received: {name}={file} ({error})"
        ) from error


def given(*names: str) -> bool:
    """Whether any of these flags is on the command line."""
    return any(flags.FLAGS[name].present for name in names)


def with_progress(trainer: Callable[..., Any], *arguments: Any, label: str, **options: Any) -> Any:
    """Calls a trainer (`train_ppo`, `train_dyna`, `fit_transition_model`) with a progress bar."""
    from tf_equirl.training import progress_bar

    bar = progress_bar(label)
    try:
        return trainer(*arguments, on_progress=bar, **options)
    finally:
        bar.close()


def describe_times(result: TrainingResult) -> str:
    """One line on what a run cost."""
    return (
        f"compiled in {result.compile_seconds:.1f} s, trained in {result.run_seconds:.1f} s "
        f"({result.steps_per_second:,.0f} environment steps/s over {len(result.seeds)} seeds)"
    )


def describe_stop(result: TrainingResult) -> str:
    """One line on where a run was stopped before its end."""
    end = int(result.timesteps[-1]) if result.returns.size else 0
    return f"stopped at timestep {end:,}; --resume without --stop_at goes on"


def describe_parts(result: DynaResult) -> str:
    """One line on what the parts of a Dyna run cost."""
    count = len(result.seeds)
    steps = {
        "act and update": result.returns.size * result.num_environments,
        "plan": int(result.planned_updates.sum()) * result.config.agent.batch_size,
    }
    parts = []
    for part, seconds in result.seconds.items():
        speed = ""
        if steps.get(part) and seconds:
            kind = "planned" if part == "plan" else "real"
            speed = f" ({steps[part] / seconds:,.0f} {kind} steps/s over {count} seeds)"
        parts.append(f"{part} {seconds:.1f} s{speed}")
    return f"compiled in {result.compile_seconds:.1f} s; {', '.join(parts)}"


def launch(main: Callable[[], None], how_to_go_on: Callable[[], str], again: bool = False) -> None:
    """Runs `main` under absl; turns expected errors, Ctrl-C and SIGTERM into one clear message.

    Args:
        main: The program.
        how_to_go_on: Called after Ctrl-C; tells where the checkpoint is and how to resume.
        again: Whether the same command goes on; it does so by itself, in a new process, where this
            one has no room for further compiled programs.
    """

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1:
            sys.exit(f"error: flags only, see --helpshort. Received: {' '.join(argv[1:])}")
        warnings.formatwarning = _one_line
        try:
            main()
        except (ValueError, ImportError, OSError, FloatingPointError) as error:
            sys.exit(f"error: {error}")
        except RuntimeError as error:
            from tf_equirl.training import ProcessFullError

            if not isinstance(error, ProcessFullError):
                raise
            if not again:
                sys.exit(f"error: {error} {how_to_go_on()}")
            print("\nThis process is full of compiled programs; a new one goes on.", flush=True)
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
        except KeyboardInterrupt as error:
            print(f"\nInterrupted. {how_to_go_on()}", file=sys.stderr)
            # SIGTERM and SIGHUP bring their number; Ctrl-C is SIGINT.
            sys.exit(128 + getattr(error, "signal", signal.SIGINT))

    module = sys.modules[main.__module__]
    if module.__name__ != "__main__":
        # A console script: absl looks for the text and the flags of --helpshort in the script.
        sys.modules["__main__"].__doc__ = module.__doc__
        for flag in flags.FLAGS.get_key_flags_for_module(module.__name__):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(guarded, flags_parser=_parse_flags)


def _one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    """What is said of a warning: no place in the code, which tells a user nothing."""
    return f"\nwarning: {message}\n"


def _parse_flags(argv: list[str]) -> list[str]:
    """As absl does, but help that was asked for is no failure."""
    try:
        return flags.FLAGS(argv)
    except flags.Error:
        return app.parse_flags_with_usage(argv)  # which says what is wrong, and exits
    except SystemExit:  # help was printed
        sys.exit(0)
