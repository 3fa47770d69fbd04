from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tf_equirl.groups

# `import tf_equirl` itself loads TensorFlow to register the layers, so the package is stood in for
# by an empty module with its path.
PROGRAM = """
import sys, types
parent = types.ModuleType("tf_equirl")
parent.__path__ = [sys.argv[1]]
sys.modules["tf_equirl"] = parent
import tf_equirl.groups as groups
groups.intertwiner_basis(*[groups.regular_representation(groups.dihedral_group(3))] * 2)
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"tensorflow", "keras", "tf_keras", "jax", "torch", "scipy"}))
"""


def test_groups_need_numpy_only():
    package = Path(tf_equirl.groups.__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(package)], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_all_names_exist():
    for name in tf_equirl.groups.__all__:
        assert hasattr(tf_equirl.groups, name)
