"""Tries what needs no TensorFlow on the other backends of Keras: `make test-backends`.

For each backend a throw-away environment with Keras and that backend, and without TensorFlow, into
which the wheel of this checkout goes alone. There `tests/backends` runs, with the golden files of
the layers and the tests of groups. Prints a table. It needs the package registry and some minutes.

`python tools/test_backends.py torch jax` names the backends. A backend may be a requirement, such
as torch==2.13.0+cpu: the newest PyTorch for Linux brings some gigabytes for GPUs with it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from test_versions import ROOT, build_wheel, environment, run

BACKENDS = ("torch", "jax")
PACKAGES = {"torch": "torch", "jax": "jax[cpu]"}
# What groups, layers, models and the zoo stand on, beside a backend, and the tests.
NEEDED = ("keras", "numpy", "filelock", "pytest")
SUITES = {
    "backends": "tests/backends/test_any_backend.py",
    "golden layers": "tests/layers/test_golden_layers.py",
    "groups": "tests/groups/test_*.py",
}
USES_TENSORFLOW = re.compile("^import tensorflow", re.MULTILINE)
VERSIONS = """
import importlib.metadata, json, sys
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def main() -> None:
    """Makes the environments and prints the table; exits with 1 if anything failed."""
    from tabulate import tabulate

    rows = []
    with tempfile.TemporaryDirectory(prefix="backends-") as temporary:
        place = Path(temporary)
        wheel = build_wheel(place)
        for wanted in sys.argv[1:] or BACKENDS:
            backend, requirement = requirement_of(wanted)
            try:
                python = make_environment(place / backend, wheel, requirement)
            except SystemExit as error:  # the other backends are worth trying still
                print(error, file=sys.stderr)
                rows.append({"backend": backend, **dict.fromkeys(SUITES, "not installed: failed")})
                continue
            names = (backend, "keras", "numpy", "tensorflow")
            versions = json.loads(run(python, "-c", VERSIONS, *names))
            if versions["tensorflow"] != "none":
                raise SystemExit(f"{requirement} must not bring TensorFlow. Received: {versions}")
            tests = {name: suite(python, backend, pattern) for name, pattern in SUITES.items()}
            rows.append({"backend": backend, "version": versions.pop(backend), **versions, **tests})
    print(tabulate(rows, headers="keys", tablefmt="github"))
    sys.exit(any("failed" in str(cell) for row in rows for cell in row.values()))


def requirement_of(wanted: str) -> tuple[str, str]:
    """The backend, and what `pip` is to install for it."""
    backend = re.split(r"\W", wanted, maxsplit=1)[0]
    if backend not in PACKAGES:
        raise SystemExit(
            f"a backend must be one of {', '.join(PACKAGES)}, or a requirement of it, such as "
            f"torch==2.13.0+cpu. Received: {wanted}"
        )
    return backend, PACKAGES[backend] if wanted == backend else wanted


def make_environment(folder: Path, wheel: Path, requirement: str) -> Path:
    """Makes an environment with a backend and tf_equirl alone; returns its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", *NEEDED, requirement)
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    return python


def suite(python: Path, backend: str, pattern: str) -> str:
    """Runs tests on a backend, outside of the checkout; the last line of their report."""
    files = sorted(ROOT.glob(pattern))
    files = [file for file in files if not USES_TENSORFLOW.search(file.read_text("utf-8"))]
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "-c", ROOT / "pyproject.toml"]
    # conftest.py of all tests imports what needs TensorFlow; that of a folder is wanted.
    places = [f"--rootdir={ROOT}", f"--confcutdir={files[0].parent}"]
    with tempfile.TemporaryDirectory() as elsewhere:  # else the checkout would be imported
        done = subprocess.run(
            list(map(str, [python, "-m", "pytest", *options, *places, *files])),
            cwd=elsewhere,
            env={**environment(), "KERAS_BACKEND": backend, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
    last = (done.stdout.splitlines() or ["nothing was run"])[-1].partition(" in ")[0]
    if done.returncode:
        print(done.stdout[-20_000:], done.stderr[-2_000:], file=sys.stderr)
        return last if " failed" in last else f"{last} failed"
    return last


if __name__ == "__main__":
    main()
