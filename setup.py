"""Packaging of tf_equirl: metadata, dependencies and console scripts."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "tf_equirl" / "__init__.py").read_text(), re.MULTILINE
).group(1)

# tf-agents itself is not listed: its last release pins typing-extensions, pygame, gym and
# tensorflow-probability to versions that no Python past 3.11 can install together, none of
# which it needs here. `make setup` installs it with --no-deps beside the packages below, which
# are what it really uses.
AGENTS = [
    "tf-keras>=2.16",
    "tensorflow-probability>=0.24",
    "gin-config>=0.5",
    "gym>=0.26",  # imported by tf-agents, used by nothing here
    "cloudpickle>=3.0",
    "six",
    "wrapt",
]
# ONNX files; the other formats of `tf_equirl.exporting` need nothing beside TensorFlow, and work on
# every Keras named below.
EXPORT = ["keras>=3.8", "onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.16"]
# One of the ways to search hyperparameters; the others need nothing.
TUNE = ["optuna>=4.1"]
# Gymnasium's environments whose symmetries are declared. Before 1.4 its Box2D was to be compiled.
BOX2D = ["gymnasium[box2d]>=1.4"]
MUJOCO = ["gymnasium[mujoco]>=1.1"]
# The DeepMind Control Suite. dm-control asks for any MuJoCo from 3.17 on and does not run on 4. Its
# dependency labmaze has no wheel for Python 3.13: docs/control.md says what to do there.
# Shimmy, which makes its interface gymnasium's, imports imageio.
DMC = [
    "dm-control>=1.0.50; python_version < '3.13'",
    "mujoco>=3.17,<4",
    "shimmy>=2.0.1",
    "imageio>=2.14",
]
# Pong. Its licence is GPL-2.0: nothing of the core may need it.
ATARI = ["ale-py>=0.11"]
# Prices of stocks, which its wheel brings.
PRICES = ["skfolio>=0.5"]
# Somebody else's environments, of docs/somebody_elses.md.
ROBOTICS = ["gymnasium-robotics>=1.3"]
# bsuite itself, too, is installed with --no-deps by `make setup`: Catch is tested against its
# environment, and what its package asks for are plotting libraries.
DEV = [
    "pytest>=8.0",
    "pytest-xdist>=3.8",
    "ruff>=0.9",
    "mypy>=1.13",
    "import-linter>=2.6",
    "dm-env>=1.6",
    "hypothesis>=6.100",
    "markdown-it-py>=3.0",
    "setuptools",
    "wheel",
    *TUNE,
]

setup(
    name="tf_equirl",
    version=VERSION,
    description="Reinforcement learning that exploits symmetry, on TensorFlow and Keras 3",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The tf_equirl authors",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    keywords=["reinforcement learning", "equivariance", "symmetry", "keras", "tensorflow", "PPO"],
    python_requires=">=3.10,<3.14",
    # The launchers and the zoo stand at the top of the repository and inside tf_equirl once
    # installed, so that a wheel puts nothing but `tf_equirl` into site-packages.
    packages=[
        *find_packages(include=["tf_equirl", "tf_equirl.*"]),
        "tf_equirl.launchers",
        "tf_equirl._zoo",
    ],
    package_dir={"tf_equirl.launchers": "launchers", "tf_equirl._zoo": "zoo"},
    package_data={"tf_equirl": ["py.typed"], "tf_equirl._zoo": ["index.json", "*/*"]},
    # `make test-versions` runs tests on these lower bounds. Below those of TensorFlow, Keras,
    # NumPy, gymnasium and TensorBoard something fails (docs/versions.md); the others were not tried
    # lower.
    install_requires=[
        "tensorflow>=2.16.1",
        "keras>=3.6",
        "numpy>=1.24",
        "absl-py>=2.1",
        "filelock>=4.0",
        "gymnasium>=1.1",
        "matplotlib>=3.8",
        "pillow>=10.0",
        "rich>=13.0",
        "scipy>=1.15",
        "tabulate>=0.9",
        "tensorboard>=2.16.1",
        "tqdm>=4.66",
    ],
    extras_require={
        "agents": AGENTS,
        "atari": ATARI,
        "box2d": BOX2D,
        "dev": DEV,
        "dmc": DMC,
        "export": EXPORT,
        "mujoco": MUJOCO,
        "prices": PRICES,
        "robotics": ROBOTICS,
        "tune": TUNE,
        "video": ["imageio[ffmpeg]"],
        "cuda": ["tensorflow[and-cuda]"],
    },
    entry_points={
        "console_scripts": [
            "equirl-check-symmetry = tf_equirl.launchers.check_symmetry:run",
            "equirl-demo = tf_equirl.launchers.demo:run",
            "equirl-discover-symmetries = tf_equirl.launchers.discover_symmetries:run",
            "equirl-evaluate = tf_equirl.launchers.evaluate:run",
            "equirl-export = tf_equirl.launchers.export:run",
            "equirl-play = tf_equirl.launchers.play:run",
            "equirl-publish = tf_equirl.launchers.publish:run",
            "equirl-reproduce = tf_equirl.launchers.reproduce:run",
            "equirl-train-dqn = tf_equirl.launchers.train_dqn:run",
            "equirl-train-dyna = tf_equirl.launchers.train_dyna:run",
            "equirl-train-ppo = tf_equirl.launchers.train_ppo:run",
            "equirl-train-drqv2 = tf_equirl.launchers.train_drqv2:run",
            "equirl-train-sac = tf_equirl.launchers.train_sac:run",
            "equirl-train-transition-model = tf_equirl.launchers.train_transition_model:run",
            "equirl-tune = tf_equirl.launchers.tune:run",
            "equirl-zoo = tf_equirl.launchers.zoo_models:run",
        ]
    },
)
