"""The race: what symmetry and planning are worth where every agent is tuned alike."""

from tf_equirl.reproductions.race.contest import Race, race
from tf_equirl.reproductions.race.outputs import RACE, TABLES

__all__ = ["RACE", "TABLES", "Race", "race"]
