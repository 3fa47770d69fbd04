"""How the tables of networks for pictures say numbers."""

from math import inf, nan

import pytest

from tf_equirl.experiments.statistics import Estimate
from tf_equirl.reproductions.pictures.measures import in_words


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        ((2.0, 1.5, 3.0), "2.0 [1.5, 3.0]"),
        ((2.0, 1.5, inf), "2.0 [1.5, never]"),
        ((inf, 1.5, inf), "never [1.5, never]"),
        ((inf, inf, inf), "never"),
        ((inf, nan, nan), "never"),
        ((2.0, nan, nan), "2.0"),
        ((nan, nan, nan), "unknown"),
    ],
)
def test_estimates_in_words(estimate, words):
    assert in_words(Estimate(*estimate), "never", "{:.1f}") == words
