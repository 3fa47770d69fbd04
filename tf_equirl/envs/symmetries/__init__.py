"""Does an environment have a symmetry? Its dynamics as a function, checks, and what is declared."""

from tf_equirl.envs.declared.declarations import (
    DECLARED,
    Declaration,
    declaration,
    declared_symmetry,
)
from tf_equirl.envs.declared.reflections import reflection
from tf_equirl.envs.symmetries.check import check_symmetry
from tf_equirl.envs.symmetries.discovery import Discovery, NearMiss, discover_symmetries
from tf_equirl.envs.symmetries.dynamics import dynamics_of
from tf_equirl.envs.symmetries.gaps import SymmetryGaps, symmetry_gaps
from tf_equirl.envs.symmetries.interface import Actions, Dynamics, Steps
from tf_equirl.envs.symmetries.outcome_report import OutcomeCase, OutcomeReport
from tf_equirl.envs.symmetries.recommend import Recommendation, recommend
from tf_equirl.envs.symmetries.report import Case, SymmetryReport, TwoSampleReport
from tf_equirl.envs.symmetries.table import symmetry_table

__all__ = [
    "DECLARED",
    "Actions",
    "Case",
    "Declaration",
    "Discovery",
    "Dynamics",
    "NearMiss",
    "OutcomeCase",
    "OutcomeReport",
    "Recommendation",
    "Steps",
    "SymmetryGaps",
    "SymmetryReport",
    "TwoSampleReport",
    "check_symmetry",
    "declaration",
    "declared_symmetry",
    "discover_symmetries",
    "dynamics_of",
    "recommend",
    "reflection",
    "symmetry_gaps",
    "symmetry_table",
]
