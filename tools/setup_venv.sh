#!/usr/bin/env bash
# Creates .venv with the first suitable Python and installs tf_equirl into it.
# PYTHON=... names the interpreter instead. Called by the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."

supported="3.10, 3.11, 3.12 or 3.13"

# Suitable: starts (a version manager's shim may not), is a supported version, can make environments.
suitable() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
    >/dev/null 2>&1
}

if [ -n "${PYTHON:-}" ]; then
  if ! suitable "$PYTHON"; then
    echo "PYTHON=$PYTHON cannot be used: it must start, be Python $supported, and have the venv and ensurepip modules." >&2
    exit 1
  fi
  python="$PYTHON"
else
  python=""
  for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
    if suitable "$candidate"; then python="$candidate"; break; fi
  done
  if [ -z "$python" ]; then
    echo "No suitable Python found: tf_equirl needs Python $supported with the venv and ensurepip modules." >&2
    echo "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2
    exit 1
  fi
fi

echo "Setting up .venv with $("$python" --version) (takes a few minutes the first time) ..."
if [ -e .venv ] && [ ! -e .venv/made_by_tf_equirl ]; then
  echo ".venv exists and was not made by this script: move it away first." >&2
  exit 1
fi
rm -rf .venv
"$python" -m venv .venv
touch .venv/made_by_tf_equirl
pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"; }
pip install --editable ".[agents,dev]"
# Its pins cannot be met on Python 3.12 and later, and are not needed on any (see setup.py).
pip install --no-deps tf-agents==0.19.0
# The packages of ONNX have no wheels for every Python; they must not change versions of the others.
pip freeze --exclude-editable >.venv/constraints.txt
pip install --constraint .venv/constraints.txt --editable ".[export]" ||
  echo "The extra 'export' did not install: no ONNX files, and their tests will be skipped."
pip install --constraint .venv/constraints.txt --editable ".[box2d,mujoco]" ||
  echo "Box2D or MuJoCo did not install: tests of gymnasium's environments will be skipped."
pip install --constraint .venv/constraints.txt --editable ".[atari]" ||
  echo "ale-py did not install: tests of Pong will be skipped."
pip install --constraint .venv/constraints.txt --editable ".[robotics]" ||
  echo "gymnasium-robotics did not install: the examples of its page will be skipped."
# The tests compare Catch with bsuite's; where it does not install they say so and skip.
pip install --no-deps bsuite==0.3.6 || echo "bsuite did not install: some tests will be skipped."
touch .venv/installed
echo "Ready: .venv"
