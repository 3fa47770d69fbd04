"""The examples of the documentation, run as they are printed."""

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from compiling import uncompiled

ROOT = Path(__file__).parents[2]


PAGES = ("reproduction.md", "transition_models.md", "dyna.md")  # those with tables
# Before a page that has sessions (">>> "), whose output must be as printed.
SESSIONS = """
import doctest
def check_session(text):
    session = doctest.DocTestParser().get_doctest(text, globals(), "session", None, 0)
    assert not doctest.DocTestRunner().run(session, clear_globs=False).failed
    globals().update(session.globs)
"""
RUN_PAGES = """
import os, runpy, sys
import tf_equirl.agents.ppo.door
from compiling import uncompiled
with uncompiled():
    for folder in sys.argv[1:]:
        os.chdir(folder)
        sys.path.insert(0, folder)  # of modules that a page has
        runpy.run_path("page.py")
        sys.path.remove(folder)
"""
# Pages with environments of a package that is no part of this project's.
NEEDED = {"docs/somebody_elses.md": "gymnasium_robotics"}


# It needs nothing of what is above it, and runs in tests/agents/test_tf_agents.py.
ALONE = "\n## The plain tf-agents route\n"


def examples(page):
    """The Python examples of a page, without the section that stands alone."""
    above, _, section = (ROOT / page).read_text().partition(ALONE)
    text = above + section.partition("\n## ")[2]
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def as_code(block):
    return f"check_session({block!r})" if block.startswith(">>> ") else block


def run_pages(names, tmp_path):
    """Runs the examples of pages in one process; returns how many pages have any."""
    folders = []
    for name in names:
        blocks = examples(name)
        if not blocks:
            continue
        folders.append(tmp_path / re.sub(r"\W", "_", name))
        folders[-1].mkdir()
        (folders[-1] / "page.py").write_text("\n".join([SESSIONS, *map(as_code, blocks)]))
        files = re.findall(
            r"^```python file=(\S+)\n(.*?)^```", (ROOT / name).read_text(), re.M | re.S
        )
        for file, content in files:
            (folders[-1] / file).write_text(content)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "_TF_EQUIRL"))}
    result = subprocess.run(
        [sys.executable, "-c", RUN_PAGES, *folders],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return len(folders)


def test_the_examples_of_the_readme_run(tmp_path, monkeypatch):
    """Programs are traced and not compiled by XLA, which would take longer than all else."""
    monkeypatch.chdir(tmp_path)
    with uncompiled():
        exec(compile("\n".join(examples("README.md")), "README.md", "exec"), {})
    assert (tmp_path / "actor.keras").exists()


@pytest.mark.thorough
def test_the_examples_of_every_page_run_in_order(tmp_path):
    """Pages share a process, whose start takes seconds, but no names and no folder."""
    names = [str(file.relative_to(ROOT)) for file in sorted((ROOT / "docs").glob("*.md"))]
    assert run_pages([name for name in names if name not in NEEDED], tmp_path) >= 8
    assert set(NEEDED) <= set(names)


@pytest.mark.thorough
@pytest.mark.parametrize("page", NEEDED)
def test_the_examples_of_a_page_that_needs_a_package(page, tmp_path):
    pytest.importorskip(NEEDED[page])
    assert run_pages([page], tmp_path) == 1


def _printed(page):
    """The doctests of a page, as one text."""
    return "\n".join(re.findall(r"^```pycon\n(.*?)^```", page.read_text(), re.M | re.S))


PRINTED = [page for page in sorted((ROOT / "docs").glob("*.md")) if _printed(page)]


@pytest.mark.parametrize("page", PRINTED, ids=lambda page: page.name)
def test_doctests_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(_printed(page), {}, page.name, str(page), 0)
    result = doctest.DocTestRunner().run(test)
    assert result.attempted and not result.failed


def test_links_between_pages_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)  # no code
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_reproduced_tables_are_the_files_that_were_produced():
    pages = [ROOT / "docs" / name for name in PAGES]
    text = "\n".join(page.read_text() for page in pages)
    shown = re.findall(r"<!-- (\S+\.md) -->\n\n(.*?)\n<!-- end -->", text, re.S)
    files = (ROOT / "docs/reproduction").glob("*.md")
    in_part = tuple(
        f"table_{name}" for name in ("ways", "gridworld", "snake", "pong", "race", "approximate")
    )
    produced = {f.name: f.read_text() for f in files if not f.name.startswith(in_part)}
    assert len(produced) == 11 and dict(shown) == produced


@pytest.mark.parametrize(
    ("page", "files"),
    [("ways", 5), ("pictures", 4), ("race", 2), ("approximate_symmetry", 3), ("drqv2", 1)],
)
def test_tables_that_are_shown_in_part_are_in_the_files_that_were_produced(page, files):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    shown = re.findall(r"<!-- (\S+\.md) -->\n\n(.*?)\n<!-- end -->", text, re.S)
    assert len({file for file, _ in shown}) == files
    for file, tables in shown:
        produced = (ROOT / "docs" / "reproduction" / file).read_text().strip().split("\n\n")
        for table in tables.strip().split("\n\n"):
            assert table.startswith("|") and table in produced, f"{file}: {table}"


def _modules_with_examples():
    package = ROOT / "tf_equirl"
    files = [path for path in package.rglob("*.py") if ">>> " in path.read_text()]
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files)


@pytest.mark.parametrize("module", _modules_with_examples())
def test_docstring_examples(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    importlib.import_module(module)
    result = doctest.testmod(sys.modules[module])
    assert result.attempted and not result.failed
