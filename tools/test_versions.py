"""Tries the model files on the versions of Keras that setup.py admits: `make test-versions`.

In throw-away environments: for the lower bounds of setup.py and for some versions of Keras between
them and the newest, every file of the zoo (with `import tf_equirl`), exports to plain Keras
(without), and stored outputs; on the lower bounds the tests of groups, layers, models, zoo and
exporting as well; and files that the oldest Keras saved, read by the newest. Prints a table. It
needs a Python that the oldest TensorFlow knows (3.10 to 3.12), the package registry, 5 GB of disk
and half an hour.

The same file runs in those environments: `python test_versions.py read|write FOLDER`.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BETWEEN = ("3.14.0", "3.13.2", "3.12.1", "3.10.0", "3.8.0")  # newest first: pip only ever goes back
SUITE = [f"tests/{name}" for name in ("groups", "layers", "models", "zoo", "exporting")]
TOLERANCE = 1e-5  # of the largest output, as `zoo.verify_outputs` allows: float32 rounding
OUTPUTS = (("actor", "logits"), ("critic", "values"), ("transition", "outputs"))
SHOWN = ("keras", "tensorflow", "numpy", "gymnasium")


def main() -> None:
    """Makes the environments and prints the table; exits with 1 if anything failed."""
    from tabulate import tabulate

    if sys.version_info >= (3, 13):
        raise SystemExit(
            "The oldest TensorFlow that setup.py admits needs Python 3.10 to 3.12: make clean, "
            "then make test-versions PYTHON=/path/to/python3.12. Received: Python "
            f"{sys.version.split()[0]}"
        )
    with tempfile.TemporaryDirectory(prefix="versions-") as temporary:
        place = Path(temporary)
        wheel = build_wheel(place)
        files = place / "files"
        files.mkdir()
        write(files)
        here = read_in(Path(sys.executable), files)
        rows = [{**here, "tests": ""}]

        bounds = lower_bounds(wheel)
        oldest = make_environment(place / "oldest", wheel, ["agents", "dev"], bounds)
        run(oldest, "-m", "pip", "install", "--quiet", "--no-deps", "tf-agents==0.19.0")
        last = {**read_in(oldest, files), "tests": suite(oldest)}
        old_files = place / "old files"
        old_files.mkdir()
        run(oldest, __file__, "write", old_files)
        back = read_in(Path(sys.executable), old_files)

        between = make_environment(place / "between", wheel, [], [])
        for version in BETWEEN:
            run(between, "-m", "pip", "install", "--quiet", wheel, f"keras=={version}")
            rows.append({**read_in(between, files), "tests": ""})
        rows.append(last)
        print(tabulate(rows, headers="keys", tablefmt="github"))
        print(f"\nSaved by Keras {last['keras']}, read by {back['keras']}:\n")
        print(tabulate([back], headers="keys", tablefmt="github"))
    wrong = [row for row in (*rows, back) if row["failures"] or " failed" in row.get("tests", "")]
    sys.exit(1 if wrong else 0)


def lower_bounds(wheel: Path) -> list[str]:
    """`name==version` for every lower bound of setup.py, those of extras included."""
    metadata = next(importlib.metadata.distributions(path=[str(wheel)]))
    found: dict[str, str] = {}
    for requirement in metadata.requires or ():
        if match := re.match(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", requirement):
            name, version = match.groups()
            if " extra == " in requirement and name in found:
                continue  # ONNX needs a newer Keras than all the rest
            found[name] = version
    return [f"{name}=={version}" for name, version in found.items()]


def build_wheel(place: Path) -> Path:
    """Builds the wheel of this checkout, in a copy: builds leave files behind."""
    others = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info", "__pycache__")
    copy = shutil.copytree(ROOT, place / "source", ignore=others)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(Path(sys.executable), *build, "--wheel-dir", place, copy)
    return next(place.glob("*.whl"))


def make_environment(folder: Path, wheel: Path, extras: list[str], pins: list[str]) -> Path:
    """Makes an environment with the wheel; returns its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins))
    what = f"{wheel}[{','.join(extras)}]" if extras else wheel
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, what)
    return python


def read_in(python: Path, files: Path) -> dict[str, object]:
    """A row of the table: what `read` finds in another environment."""
    result = json.loads(run(python, __file__, "read", files).splitlines()[-1])
    for failure in result["failures"]:
        print(f"Keras {result['keras']}: {failure}", file=sys.stderr)
    result["failures"] = len(result["failures"])
    return result


def suite(python: Path) -> str:
    """Runs the tests of what a model file needs; the last line of their report."""
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SUITE]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-20_000:], done.stderr[-2_000:], file=sys.stderr)
        return f"{done.stdout.splitlines()[-1]} failed"
    return done.stdout.splitlines()[-1].partition(" in ")[0]


def run(python: Path, *arguments: object) -> str:
    """Runs Python outside of the checkout; what it prints."""
    command = [str(python), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            command, cwd=elsewhere, env=environment(), capture_output=True, text=True
        )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """This process' environment without what decides how TensorFlow and Python start."""
    dropped = ("TF_", "_TF_", "KERAS", "PYTHONPATH", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if not k.startswith(dropped)}


def write(folder: Path) -> None:
    """Saves networks of the zoo and one of many layers, each with inputs and outputs.

    `with/` holds files that need tf_equirl, `without/` those that need Keras alone.
    """
    import numpy as np

    from tf_equirl import exporting, models, zoo

    (folder / "with").mkdir()
    (folder / "without").mkdir()

    def save(model, file, writer, inputs):
        writer(model, file.with_suffix(".keras"))
        outputs = np.asarray(model(inputs if len(inputs) > 1 else inputs[0]))
        arrays = {str(k): x for k, x in enumerate(inputs)}
        np.savez(file.with_suffix(".npz"), outputs=outputs, **arrays)

    for name in zoo.list():
        entry = zoo.load(name)
        golden = np.load(entry.path / "golden.npz")
        inputs = [golden[key] for key in ("observations", "actions") if key in golden]
        for role, model in entry.networks.items():
            save(model, folder / "with" / f"{name} {role}", models.save, inputs)
            save(model, folder / "without" / f"{name} {role}", exporting.export, inputs)
    inputs, model = user_model()
    save(model, folder / "without" / "many layers", models.save, [inputs])


def user_model():
    """A network of Keras' own layers, among them those whose arguments Keras has changed."""
    import keras
    import numpy as np

    layers = keras.layers
    pictures = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, activation="relu", kernel_initializer="he_normal")(pictures)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2DTranspose(3, 2)(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Reshape((9, 3))(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
    x = layers.LayerNormalization()(x)
    x = layers.Dropout(0.1)(layers.Flatten()(x))
    x = layers.Rescaling(0.5)(x)
    x = layers.EinsumDense("ab,bc->ac", 5, kernel_initializer="orthogonal")(x)
    model = keras.Model(pictures, layers.Dense(3, "tanh")(x))
    return np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype("float32"), model


def read(folder: Path) -> dict[str, object]:
    """Loads what `write` wrote, and the zoo that is installed; counts and compares."""
    import keras
    import numpy as np

    failures: list[str] = []

    def difference(file, inputs, outputs):
        try:
            model = keras.models.load_model(file, safe_mode=True)
            found = np.asarray(model(inputs if len(inputs) > 1 else inputs[0]))
            error = float(np.abs(found - outputs).max() / np.abs(outputs).max())
            if not error <= TOLERANCE:
                failures.append(f"{file}: outputs differ by {error:.2g}")
            return error
        except Exception as error:  # whatever it is, it belongs in the report
            failures.append(f"{file}: {type(error).__name__}: {str(error)[-300:]}")
            return float("nan")

    def all_of(kind):
        errors = []
        for file in sorted((folder / kind).glob("*.keras")):
            with np.load(file.with_suffix(".npz")) as arrays:
                inputs = [arrays[str(k)] for k in range(len(arrays.files) - 1)]
                errors.append(difference(file, inputs, arrays["outputs"]))
        return errors

    plain = all_of("without")
    if "tf_equirl" in sys.modules:
        failures.append("tf_equirl was imported before the plain files were read")
    from tf_equirl import zoo  # from here on its layers are registered

    golden = []
    for name in zoo.list():
        stored = np.load(zoo.path(name) / "golden.npz")
        inputs = [stored[key] for key in ("observations", "actions") if key in stored]
        for role, key in OUTPUTS:
            if key in stored:
                golden.append(difference(zoo.path(name) / f"{role}.keras", inputs, stored[key]))
        try:
            zoo.verify_outputs(name)
        except ValueError as error:
            failures.append(f"zoo.verify_outputs({name!r}): {error}")
    saved = all_of("with")
    version = ".".join(map(str, sys.version_info[:3]))
    return {
        **{name: importlib.metadata.version(name) for name in SHOWN},
        "python": version,
        "zoo files loaded": _loaded(golden),
        "from golden outputs": _largest(golden),
        "saved again": _loaded(saved),
        "plain files loaded": _loaded(plain),
        "from outputs": _largest([*saved, *plain]),
        "failures": failures,
    }


def _loaded(errors: list[float]) -> str:
    return f"{sum(error == error for error in errors)} of {len(errors)}"  # NaN is not itself


def _largest(errors: list[float]) -> str:
    return f"{max((error for error in errors if error == error), default=float('nan')):.1g}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["read"]:
        print(json.dumps(read(Path(sys.argv[2]))))
    else:
        main()
