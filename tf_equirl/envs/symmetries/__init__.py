"""Does an environment have a symmetry? Its dynamics as a function, and what is declared."""

from tf_equirl.envs.symmetries.dynamics import Actions, Dynamics, Steps, dynamics_of

__all__ = ["Actions", "Dynamics", "Steps", "dynamics_of"]
