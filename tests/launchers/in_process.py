"""Launchers in this process, for what needs no process of its own: a start takes seconds."""

import contextlib
import importlib
import io
import subprocess
import sys
from unittest import mock

from absl import app, flags

import launchers

app.define_help_flags()  # as `app.run` does


@contextlib.contextmanager
def launcher(name):
    """The module of a launcher. Its flags go with it: other launchers have the same."""
    known = set(flags.FLAGS)
    loaded = set(sys.modules)
    try:
        yield importlib.import_module(f"launchers.{name}")
    finally:
        for flag in set(flags.FLAGS) - known:
            delattr(flags.FLAGS, flag)
        for module in set(sys.modules) - loaded:
            package, _, last = module.rpartition(".")
            if package == "launchers":
                del sys.modules[module]
                delattr(launchers, last)


@contextlib.contextmanager
def unchanged():
    """Modules of launchers that were loaded before, and so outlive this run, stay as they are."""
    modules = [m for name, m in sys.modules.items() if name.startswith("launchers.")]
    before = [dict(vars(module)) for module in modules]
    try:
        yield
    finally:
        for module, attributes in zip(modules, before, strict=True):
            vars(module).update(attributes)


def run_here(name, *arguments, stdout=None, change=None):
    """What the console script of a launcher does.

    Args:
        name: The launcher.
        *arguments: Of the command line.
        stdout: A text file to write to, which then is not part of the result.
        change: Called with the launcher's module before it runs; what it changes there and in the
            modules beside it is changed back.
    """
    output, errors = io.StringIO(), io.StringIO()
    argv = [name, *map(str, arguments)]
    main = sys.modules["__main__"]
    with (
        launcher(name) as module,
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(main, "__doc__", main.__doc__),
        # The true one also renames this process and takes over its log.
        mock.patch.object(app, "run", lambda m, flags_parser: m(flags_parser(argv))),
        contextlib.redirect_stdout(stdout or output),
        contextlib.redirect_stderr(errors),
        unchanged(),
    ):
        status = 0
        if change is not None:
            change(module)
        try:
            module.run()
        except SystemExit as end:  # as the interpreter treats it
            status = end.code if isinstance(end.code, int) else 1
            if isinstance(end.code, str):
                print(end.code, file=errors)
    return subprocess.CompletedProcess(argv, status, output.getvalue(), errors.getvalue())
