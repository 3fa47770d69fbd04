"""All bad values for all public constructors, and for the functions that users call first."""

import collections

import pytest

from tests.package import bad_values

pytestmark = pytest.mark.faults


def test_constructors(counted):
    check(bad_values.run(bad_values.constructors()), "public constructors", counted)


def test_functions(counted):
    with bad_values.no_work():
        outcome = bad_values.run(bad_values.functions())
    check(outcome, "functions", counted)


def check(outcome, called, counted):
    counts, wrong = outcome
    total = sum(counts.values(), collections.Counter())
    print("", bad_values.report(counts), *wrong, sep="\n")
    counted(
        f"{total.total():,} bad values of arguments of {len(counts)} {called}: "
        f"{total['refused']:,} refused by name, {total['accepted']:,} rightly accepted, "
        f"{total['wrong']} not",
    )
    unexpected = [line for line in wrong if not bad_values.OF_KERAS.search(line)]
    assert not unexpected, "\n".join(unexpected)
    assert total["wrong"] <= 0.005 * total.total()
