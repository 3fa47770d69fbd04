"""All bad values for all public constructors, and for the functions that users call first."""

import pytest

from tests.package import bad_values

pytestmark = pytest.mark.faults


def test_all_bad_values_are_refused_by_name_by_constructors():
    counts, wrong = bad_values.run(bad_values.constructors())
    show(counts, wrong)


def test_all_bad_values_are_refused_by_name_by_functions():
    with bad_values.no_work():
        counts, wrong = bad_values.run(bad_values.functions())
    show(counts, wrong)


def show(counts, wrong):
    print("", bad_values.report(counts), *wrong, sep="\n")
    unexpected = [line for line in wrong if not bad_values.OF_KERAS.search(line)]
    assert not unexpected, "\n".join(unexpected)
