"""Prints what the tests of faults counted, whichever process counted it."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "training"))  # training_cases


@pytest.fixture
def counted(record_property):
    """A function of one sentence that says what was tried and what came of it."""
    return lambda sentence: record_property("counted", sentence)


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    said = [text for r in reports for name, text in r.user_properties if name == "counted"]
    if said:
        terminalreporter.section("counted")
        for sentence in said:
            terminalreporter.write_line(sentence)
