"""What the launchers share: the progress bar, errors and Ctrl-C."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app, flags
from tqdm import tqdm

from tf_equirl import envs

if TYPE_CHECKING:  # launchers that do not train need no tf-agents
    from tf_equirl.agents import PPOConfig, Progress, TrainingResult
    from tf_equirl.dyna import (
        DynaConfig,
        DynaProgress,
        DynaResult,
        FitProgress,
        TransitionModelConfig,
        TransitionResult,
        Transitions,
    )

_EPOCHS_BAR = (
    "{desc} {percentage:3.0f}% |{bar:20}| epoch {n:.4g}/{total}{postfix} [{remaining} left]"
)
_STEPS_BAR = (
    "{desc} {percentage:3.0f}% |{bar:20}| {n_fmt}/{total_fmt} steps{postfix} [{remaining} left]"
)
# What follows may be long: the time left stands before it, where no narrow terminal cuts it off.
_DYNA_BAR = "{desc} {percentage:3.0f}% |{bar:12}| [{remaining} left]{postfix}"
INTERRUPTED = 130  # exit status of a program stopped by Ctrl-C


def parse_integers(name: str, texts: list[str]) -> tuple[int, ...]:
    """The integers of a list flag.

    Raises:
      ValueError: if one of them is no integer.
    """
    try:
        return tuple(int(text) for text in texts)
    except ValueError as error:
        raise ValueError(
            f"{name} must list integers. Received: {name}={','.join(texts)}"
        ) from error


def seed_range(num_seeds: int, first_seed: int) -> range:
    """The seeds of the flags `num_seeds` and `first_seed`.

    Raises:
      ValueError: if there are none.
    """
    if num_seeds < 1:
        raise ValueError(f"num_seeds must be at least 1. Received: num_seeds={num_seeds}")
    return range(first_seed, first_seed + num_seeds)


class ProgressBar:
    """A bar that is made at the first report, below whatever is printed while models are built.

    Args:
      label: text on its left.
      total: what it counts up to.
      form: `tqdm`'s `bar_format`.
    """

    def __init__(self, label: str, total: int, form: str):
        self._arguments = {"desc": label, "total": total, "bar_format": form, "unit_scale": True}
        self._bar: tqdm | None = None

    def show(self, done: float, finished: bool, text: str) -> None:
        """Moves the bar.

        Args:
          done: how far the run is.
          finished: whether that is its end.
          text: on the right; empty or "compiling" as long as this process has trained nothing.
        """
        first = self._bar is None
        if first and finished:
            return  # nothing was left to do
        if self._bar is None:
            self._bar = tqdm(**self._arguments)
        self._bar.n = done
        if text in ("", "compiling"):
            # Neither compilation nor what an earlier process did counts in the time left.
            self._bar.initial = done
            self._bar.unpause()
        self._bar.set_postfix_str(text)

    def close(self) -> None:
        """Leaves the bar as it is on the screen."""
        if self._bar is not None:
            self._bar.close()


def train_with_progress(
    env: envs.Environment,
    config: PPOConfig,
    seeds: list[int] | range,
    run_dir: Path,
    resume: bool,
    label: str,
    start_from: str | None = None,
) -> TrainingResult:
    """Calls `train_ppo` with a progress bar: steps/s of all seeds, mean return, time left."""
    from tf_equirl.agents import train_ppo

    bar = ProgressBar(label, config.num_updates * config.batch_size, _STEPS_BAR)

    def show(progress: Progress) -> None:
        finished = progress.updates == progress.num_updates
        text = "" if finished or progress.compile_seconds else "compiling"
        if progress.steps_per_second:
            text = (
                f"{progress.steps_per_second:,.0f} steps/s over all seeds, "
                f"mean return {progress.mean_return:.3g}"
            )
        bar.show(progress.timesteps, finished, text)

    try:
        return train_ppo(
            env,
            config,
            seeds,
            run_dir,
            start_from=start_from,
            resume=resume,
            on_progress=show,
        )
    finally:
        bar.close()


def fit_with_progress(
    env: envs.Environment,
    data: Transitions,
    config: TransitionModelConfig,
    seeds: list[int] | range,
    run_dir: Path,
    *,
    validation: Transitions,
    resume: bool,
    label: str,
) -> TransitionResult:
    """Calls `fit_transition_model` with a progress bar: epoch, losses, time left."""
    from tf_equirl.dyna import fit_transition_model

    bar = ProgressBar(label, config.num_epochs, _EPOCHS_BAR)

    def show(progress: FitProgress) -> None:
        finished = progress.epochs == progress.num_epochs
        text = "" if finished or progress.compile_seconds else "compiling"
        if progress.steps_per_second:
            metrics = {"loss": progress.loss}
            metrics.update({f"validation {k}": v for k, v in progress.validation.items()})
            text = ", ".join(
                f"{name.replace('_', ' ')} {value:.3g}"
                for name, value in metrics.items()
                if progress.epochs
            )
            text = text or f"{progress.steps_per_second:,.0f} gradient steps/s"
        bar.show(progress.done * progress.num_epochs, finished, text)

    try:
        return fit_transition_model(
            env,
            data,
            config,
            seeds,
            run_dir,
            validation=validation,
            resume=resume,
            on_progress=show,
        )
    finally:
        bar.close()


def dyna_with_progress(
    env: envs.Environment,
    config: DynaConfig,
    seeds: Sequence[int],
    run_dir: Path,
    resume: bool,
    label: str,
    frozen_model: str | None = None,
) -> DynaResult:
    """Calls `train_dyna` with a progress bar: what goes on, steps, the model's error, time left."""
    from tf_equirl.dyna import train_dyna

    bar = ProgressBar(label, 1, _DYNA_BAR)

    def show(progress: DynaProgress) -> None:
        finished = progress.done == 1
        text = "" if finished or progress.compile_seconds else "compiling"
        if progress.steps_per_second or progress.part == "fit":
            real, planned, speed = (
                tqdm.format_sizeof(number)
                for number in (
                    progress.timesteps,
                    progress.planned_timesteps,
                    progress.steps_per_second,
                )
            )
            parts = [f"{progress.part}: {real} real + {planned} planned steps"]
            parts += [f"{speed} steps/s"] if progress.steps_per_second else []
            parts += [f"mean return {progress.mean_return:.3g}"]
            if progress.model_error == progress.model_error:  # not NaN
                parts += [f"model error {progress.model_error:.2g}"]
            text = ", ".join(parts)
        bar.show(progress.done, finished, text)

    try:
        return train_dyna(
            env,
            config,
            seeds,
            run_dir,
            frozen_model=frozen_model,
            resume=resume,
            on_progress=show,
        )
    finally:
        bar.close()


def describe_times(result: TrainingResult) -> str:
    """One line on what a run cost."""
    return (
        f"compiled in {result.compile_seconds:.1f} s, trained in {result.run_seconds:.1f} s "
        f"({result.steps_per_second:,.0f} environment steps/s over {len(result.seeds)} seeds)"
    )


def describe_parts(result: DynaResult) -> str:
    """One line on what the parts of a Dyna run cost."""
    count = len(result.seeds)
    steps = {
        "act and update": result.returns.size * result.config.num_environments,
        "plan": int(result.planned_updates.sum()) * result.config.batch_size,
    }
    parts = []
    for part, seconds in result.seconds.items():
        speed = ""
        if steps.get(part) and seconds:
            kind = "planned" if part == "plan" else "real"
            speed = f" ({steps[part] / seconds:,.0f} {kind} steps/s over {count} seeds)"
        parts.append(f"{part} {seconds:.1f} s{speed}")
    return f"compiled in {result.compile_seconds:.1f} s; {', '.join(parts)}"


def how_to_go_on(launcher: str, run_dir: Path | None, *further: str) -> str:
    """What `launch` tells after Ctrl-C: that a run is saved, and the command to resume it.

    Args:
      launcher: name of the launcher's module.
      run_dir: its run folder, or None as long as none is chosen.
      *further: flags that the run needs again.
    """
    begun = ("run.json", "sweep.json")
    if run_dir is None or not any((run_dir / name).exists() for name in begun):
        return "Nothing was trained yet."
    script = Path(sys.argv[0]).name
    program = f"python -m launchers.{launcher}" if script == f"{launcher}.py" else script
    flags_again = shlex.join(["--resume", f"--run_dir={run_dir}", *further])
    return f"What was trained is saved. Go on with:\n  {program} {flags_again}"


def launch(main: Callable[[], None], how_to_go_on: Callable[[], str]) -> None:
    """Runs `main` under absl; turns expected errors and Ctrl-C into one clear message.

    Args:
      main: the program.
      how_to_go_on: called after Ctrl-C; tells where the checkpoint is and how to resume.
    """

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1:
            sys.exit(f"error: flags only, see --helpshort. Received: {' '.join(argv[1:])}")
        try:
            main()
        except (ValueError, OSError, FloatingPointError) as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            print(f"\nInterrupted. {how_to_go_on()}", file=sys.stderr)
            sys.exit(INTERRUPTED)

    module = sys.modules[main.__module__]
    if module.__name__ != "__main__":
        # A console script: absl looks for the text and the flags of --helpshort in the script.
        sys.modules["__main__"].__doc__ = module.__doc__
        for flag in flags.FLAGS.get_key_flags_for_module(module.__name__):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(guarded)
