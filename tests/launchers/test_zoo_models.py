"""`launchers.zoo_models` on small zoos."""

import shutil
import sys

import pytest
from absl import flags
from absl.testing import flagsaver
from processes import ROOT, run_python

from launchers import zoo_models
from tf_equirl.zoo import card_tables

sys.path.insert(0, str(ROOT / "tests" / "zoo"))
import zoo_cases

NAME = "cartpole-ppo-gcnn"


def run(*arguments):
    return run_python("-m", "launchers.zoo_models", *arguments, COLUMNS="80")


@pytest.fixture(scope="module")
def true_zoo(tmp_path_factory):
    """A zoo whose cards give the true scores."""
    folder = zoo_cases.make_zoo(tmp_path_factory.mktemp("true") / "zoo")
    for name in (NAME, "catch-ppo-mlp"):
        zoo_cases.measure(folder, name)
    return folder


@pytest.fixture
def folder(true_zoo, tmp_path):
    return shutil.copytree(true_zoo, tmp_path / "zoo")


def call(folder, **values):
    """What the launcher does, in this process."""
    flags.FLAGS(["zoo_models"])
    with flagsaver.flagsaver(zoo_dir=str(folder), **values):
        zoo_models.main()


def test_without_further_flags_it_lists_the_models(folder):
    result = run(f"--zoo_dir={folder}")
    assert result.returncode == 0, result.stderr
    (row,) = [line for line in result.stdout.splitlines() if NAME in line]
    mean = zoo_cases.read_card(folder / NAME)["evaluation"]["greedy"]["mean"]
    assert all(cell in row for cell in ("CartPole", "gcnn", f"{mean:.6g}"))
    assert "catch-ppo-mlp" in result.stdout and result.stderr == ""


def test_a_wrong_name_gives_one_clear_line(folder):
    result = run(f"--zoo_dir={folder}", "--show=cartpole-ppo-gcn")
    assert result.returncode != 0 and result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert f"Did you mean {NAME}? Received: name='cartpole-ppo-gcn'" in result.stderr


def test_it_shows_a_card_and_the_list_together(folder, capsys):
    call(folder, show=NAME, list=True)
    output = capsys.readouterr().out
    assert "catch-ppo-mlp" in output  # of the list
    for text in ("A small gcnn agent", "Seeds 0 to 3", "Only for tests.", "Apache-2.0"):
        assert text in output


def test_a_card_alone_comes_without_the_list(folder, capsys):
    call(folder, show=NAME)
    assert "catch-ppo-mlp" not in capsys.readouterr().out


def test_true_models_are_verified(folder, capsys):
    call(folder, verify=True)
    output = capsys.readouterr().out
    assert "2 models are as their cards say" in output
    assert output.count("20 episodes, as the card says") == 4


def test_what_is_wrong_is_named_and_the_others_are_verified(folder, capsys):
    file = folder / NAME / "critic.keras"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"1 of 2 that are not: {NAME}$"):
        call(folder, verify=True)
    output = capsys.readouterr().out
    assert f"{NAME}: FAILED: {file} must have the SHA-256" in output
    assert output.count("20 episodes, as the card says") == 2


def test_everything_made_from_the_cards_is_written_again(folder, tmp_path):
    index = (folder / "index.json").read_bytes()
    readme = (folder / NAME / "README.md").read_bytes()
    (folder / "index.json").write_text("damaged")
    (folder / NAME / "README.md").unlink()
    page = tmp_path / "docs" / "zoo.md"
    with pytest.raises(ValueError, match="docs/zoo.md"):
        call(folder, write_table=True)
    page.parent.mkdir()
    markers = [marker for markers in card_tables._MARKERS.values() for marker in markers]
    page.write_text("\n".join(["# Zoo", *markers]))
    call(folder, write_table=True)
    assert (folder / "index.json").read_bytes() == index
    assert (folder / NAME / "README.md").read_bytes() == readme
    assert f"[{NAME}](../zoo/{NAME}/README.md)" in page.read_text()


def test_a_folder_that_is_no_zoo_is_named():
    with pytest.raises(ValueError, match="/nonexistent/index.json must exist"):
        call("/nonexistent")
