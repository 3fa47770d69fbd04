# `make demo` and `make test` work on a fresh machine: each sets up .venv first if it has to.
# PYTHON=/path/to/python3.12 chooses the interpreter that the environment is made with.
PYTHON ?=
# Those of `make test-backends`; also requirements, such as torch==2.13.0+cpu.
BACKENDS ?= torch jax
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: help setup demo test test-thorough test-slow test-faults test-versions test-backends check format benchmarks clean

help:
	@echo "make demo        train an MLP and an equivariant actor on CartPole and plot both"
	@echo "make test        the fast tests"
	@echo "make test-thorough  the laws of every agent, and every page's examples (eleven minutes)"
	@echo "make test-slow   the scientific tests (minutes each)"
	@echo "make test-faults kills, races and damaged files by the hundred (half an hour)"
	@echo "make test-versions  model files on old and new versions of Keras (half an hour)"
	@echo "make test-backends  what needs no TensorFlow, on PyTorch and JAX (a quarter of an hour)"
	@echo "make check       format, lint, types, imports and the fast tests"
	@echo "make format      apply the formatter and the lint fixes"
	@echo "make benchmarks  throughput, forward-pass, layer, transition-model, planning and tuning ratios"
	@echo "make setup       only create .venv and install"
	@echo "make clean       remove .venv and caches (PYTHON=... chooses another interpreter)"

setup: $(STAMP)

$(STAMP): setup.py tools/setup_venv.sh
	@PYTHON="$(PYTHON)" bash tools/setup_venv.sh

demo: $(STAMP)
	@$(BIN)/python -m launchers.demo

test: $(STAMP)
	@$(BIN)/python -m pytest -q

test-thorough: $(STAMP)
	@$(BIN)/python -m pytest -q -m thorough

test-slow: $(STAMP)
	@$(BIN)/python -m pytest -q -m slow

test-faults: $(STAMP)
	@$(BIN)/python -m pytest -q -m faults --dist=load tests/faults

test-versions: $(STAMP)
	@$(BIN)/python tools/test_versions.py

test-backends: $(STAMP)
	@$(BIN)/python tools/test_backends.py $(BACKENDS)

check: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

benchmarks: $(STAMP)
	@$(BIN)/python -m benchmarks.throughput
	@$(BIN)/python -m benchmarks.second_call
	@$(BIN)/python -m benchmarks.forward_pass
	@$(BIN)/python -m benchmarks.layer_scaling
	@$(BIN)/python -m benchmarks.build_time
	@$(BIN)/python -m benchmarks.transition_models
	@$(BIN)/python -m benchmarks.dyna_speed
	@$(BIN)/python -m benchmarks.tuning --trials=16 --seeds=4

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build *.egg-info
