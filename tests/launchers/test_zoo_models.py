"""`launchers.zoo_models` on small zoos."""

import shutil
import sys

import pytest
from in_process import run_here
from processes import ROOT

from tf_equirl import publishing, zoo
from tf_equirl.publishing import card_tables

sys.path.insert(0, str(ROOT / "tests" / "zoo"))
import zoo_cases

pytestmark = pytest.mark.usefixtures("without_xla")

NAME = "cartpole-ppo-gcnn"
TRANSITION_NAME = "cartpole-transition-gcnn"


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


def call(folder, *arguments):
    """What the launcher writes, in this process."""
    result = run_here("zoo_models", f"--zoo_dir={folder}", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_without_further_flags_it_lists_the_models(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = run_here("zoo_models", f"--zoo_dir={folder}")
    assert result.returncode == 0, result.stderr
    (row,) = [line for line in result.stdout.splitlines() if NAME in line]
    mean = zoo_cases.read_card(folder / NAME)["evaluation"]["greedy"]["mean"]
    assert all(cell in row for cell in ("CartPole", "gcnn", f"{mean:.6g}"))
    assert "catch-ppo-mlp" in result.stdout and result.stderr == ""


def test_a_wrong_name_gives_one_clear_line(folder):
    result = run_here("zoo_models", f"--zoo_dir={folder}", "--show=cartpole-ppo-gcn")
    assert result.returncode != 0 and result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert f"Did you mean {NAME}? Received: name='cartpole-ppo-gcn'" in result.stderr


def test_it_shows_a_card_and_the_list_together(folder):
    output = call(folder, f"--show={NAME}", "--list")
    assert "catch-ppo-mlp" in output  # of the list
    for text in ("A small gcnn agent", "Seeds 0 to 3", "Only for tests.", "Apache-2.0"):
        assert text in output


def test_markup_in_a_card_is_shown_and_not_obeyed(folder):
    card = zoo_cases.read_card(folder / NAME)
    card["networks"]["actor"]["kind"] = "[/red]x"
    card["description"] = "[bold]gcnn[/] agent"
    zoo_cases.write_card(folder / NAME, card)
    publishing.write_index(folder)
    output = call(folder, "--list", f"--show={NAME}")
    assert "[/red]x" in output and "[bold]gcnn[/] agent" in output


def test_a_card_alone_comes_without_the_list(folder):
    assert "catch-ppo-mlp" not in call(folder, f"--show={NAME}")


def test_true_models_are_verified(folder):
    output = call(folder, "--verify")
    assert "2 models are as their cards say" in output
    assert output.count("100 episodes, as the card says") == 4


@pytest.fixture(scope="module")
def true_mixed_zoo(true_zoo, tmp_path_factory):
    """The same with a transition model; its scores are not true."""
    folder = shutil.copytree(true_zoo, tmp_path_factory.mktemp("mixed") / "zoo")
    zoo_cases.make_transition_entry(folder)
    publishing.write_index(folder)
    return folder


def test_transition_models_are_listed_and_verified(true_mixed_zoo, monkeypatch):
    (row,) = [x for x in call(true_mixed_zoo).splitlines() if TRANSITION_NAME in x]
    assert all(cell in row for cell in ("CartPole", "gcnn-readout", "0.25"))
    names = []
    monkeypatch.setattr(  # what it finds is tested elsewhere
        publishing,
        "verify_score",
        lambda name, folder: names.append(name) or zoo.card(TRANSITION_NAME, folder)["evaluation"],
    )
    output = call(true_mixed_zoo, "--verify")
    assert "  mean square: 0.25 over 300 transitions, as the card says" in output
    assert names == zoo.list(true_mixed_zoo) and "3 models are as their cards say" in output


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "--model=NAME"],
        ["play", "--model=NAME"],
        ["export", "--model=NAME", "--output=OUT/x.keras"],
        ["export", "--critic", "--model=NAME", "--output=OUT/x.keras"],
        ["train_ppo", "--start_from=NAME", "--run_dir=OUT/run"],
    ],
    ids=" ".join,
)
def test_a_transition_model_is_no_policy(true_mixed_zoo, command, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo.store, "default_folder", lambda: true_mixed_zoo)
    out = str(tmp_path)
    launcher, *given = [x.replace("NAME", TRANSITION_NAME).replace("OUT", out) for x in command]
    result = run_here(launcher, *given)
    assert result.returncode != 0 and not list(tmp_path.iterdir())
    assert "must be the name of a policy" in result.stderr
    assert "which is a transition model for CartPole" in result.stderr


def test_what_is_wrong_is_named_and_the_others_are_verified(folder):
    file = folder / NAME / "critic.keras"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    result = run_here("zoo_models", f"--zoo_dir={folder}", "--verify")
    assert result.returncode != 0 and f"1 of 2 that are not: {NAME}\n" in result.stderr
    assert f"{NAME}: FAILED: {file} must have the SHA-256" in result.stdout
    assert result.stdout.count("100 episodes, as the card says") == 2


def test_everything_made_from_the_cards_is_written_again(folder, tmp_path):
    index = (folder / "index.json").read_bytes()
    readme = (folder / NAME / "README.md").read_bytes()
    (folder / "index.json").write_text("damaged")
    (folder / NAME / "README.md").unlink()
    page = tmp_path / "docs" / "zoo.md"
    result = run_here("zoo_models", f"--zoo_dir={folder}", "--write_table")
    assert result.returncode == 0 and "docs/zoo.md" not in result.stdout  # there is no such page
    page.parent.mkdir()
    markers = [marker for markers in card_tables._MARKERS.values() for marker in markers]
    page.write_text("\n".join(["# Zoo", *markers]))
    call(folder, "--write_table")
    assert (folder / "index.json").read_bytes() == index
    assert (folder / NAME / "README.md").read_bytes() == readme
    assert f"[{NAME}](../zoo/{NAME}/README.md)" in page.read_text()


def test_a_folder_that_is_no_zoo_is_named():
    result = run_here("zoo_models", "--zoo_dir=/nonexistent")
    assert result.returncode != 0
    assert "error: /nonexistent/index.json must exist" in result.stderr
