"""What a card must say, and what is written from cards."""

import copy
import json
import shutil

import pytest
import zoo_cases

from tf_equirl import zoo
from tf_equirl.zoo import card_rules, cards

NAME = "cartpole-ppo-gcnn"


@pytest.fixture
def card(pristine):
    return zoo_cases.read_card(pristine / NAME)


def fields(rule, place=()):
    """Paths of all required fields."""
    if isinstance(rule, dict):
        return [p for name, inner in rule.items() for p in fields(inner, (*place, name))]
    return [place]


def change(card, place, value):
    card = copy.deepcopy(card)
    inner = card
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return card


FIELDS = fields(card_rules._CARD)


def test_the_cards_of_the_tests_are_valid(card):
    zoo.validate_card(card)
    zoo.validate_card({**card, "a_field_of_the_future": None})
    assert len(FIELDS) > 50


@pytest.mark.parametrize("place", FIELDS, ids=".".join)
def test_every_field_is_required_and_checked(card, place):
    name = ".".join(place)
    without = copy.deepcopy(card)
    inner = without
    for part in place[:-1]:
        inner = inner[part]
    del inner[place[-1]]
    with pytest.raises(ValueError, match=f"`{name}` must be there"):
        zoo.validate_card(without)
    for wrong in (float("nan"), float("inf"), True, "", [], {}, -0.5, [None], ["", "x"]):
        if wrong == -0.5 and card_rules._NUMBER.holds(inner_value(card, place)):
            continue  # a return may be negative
        with pytest.raises(ValueError, match=f"`{name}` must be") as error:
            zoo.validate_card(change(card, place, wrong))
        assert str(error.value).endswith(f"Received: {wrong!r}")


def inner_value(card, place):
    for name in place:
        card = card[name]
    return card


@pytest.mark.parametrize("wrong", [None, [], "card", 3, {}])
def test_a_card_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="the card's field"):
        zoo.validate_card(wrong)


@pytest.mark.parametrize("place", [("environment",), ("networks", "actor"), ("evaluation",)])
def test_groups_of_fields_are_objects(card, place):
    with pytest.raises(ValueError, match=f"`{'.'.join(place)}` must be an object"):
        zoo.validate_card(change(card, place, [1]))


@pytest.mark.parametrize(
    ("place", "wrong", "rule"),
    [
        (("format",), 2, "the only format known here"),
        (("name",), "../x", "joined by hyphens"),
        (("training", "kept_seed"), 9, "one of training.seeds"),
        (("training", "seeds"), [2, 2], "different integers"),
        (("training", "num_seeds"), 3, "the number of training.seeds"),
        (("training", "standard_error"), None, "where there are several seeds"),
        (("evaluation", "greedy", "mean"), 12.0, "between minimum and maximum"),
        (("evaluation", "sampled", "success_rate"), 1.5, "from 0 to 1"),
        (("evaluation", "greedy", "success"), "it does well", "return of at least"),
        (("evaluation", "greedy", "success"), "return of at least many", "return of at least"),
    ],
)
def test_contradictions_are_refused(card, place, wrong, rule):
    with pytest.raises(ValueError, match=f"`{'.'.join(place)}` must be .*{rule}"):
        zoo.validate_card(change(card, place, wrong))


def test_a_single_seed_has_no_standard_error(card):
    one = {"seeds": [2], "num_seeds": 1, "standard_error": None, "git_commit": None}
    card["training"].update(one)
    text = zoo.card_to_markdown(card)
    assert "over 1 seed: 21.25." in text and "Commit: not recorded" in text


@pytest.mark.parametrize("file", ["actor.keras", "critic.keras", "golden.npz"])
def test_the_files_of_a_model_must_be_listed(card, file):
    del card["files"][file]
    with pytest.raises(ValueError, match=f"a list with {file}"):
        zoo.validate_card(card)


@pytest.mark.parametrize(
    ("success", "threshold"),
    [
        ("return of at least 500", 500),
        ("return of at least -0.5", -0.5),
        ("return of at least 1e+06", 1e6),
    ],
)
def test_the_threshold_of_a_success(card, success, threshold):
    assert cards.success_return({"success": success}) == threshold
    card["evaluation"]["greedy"]["success"] = success
    zoo.validate_card(card)


def test_the_page_says_everything_that_the_card_says(card):
    text = zoo.card_to_markdown(card)

    def leaves(value, place):
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from leaves(inner, (*place, name))
        elif isinstance(value, str):
            yield place, value

    left_out = {("symmetry", "data")}
    for place, value in leaves(card, ()):
        if place[:2] not in left_out:
            assert value.replace("|", "\\|") in text, place
    for number in ("65", "45", "9.50 ± 0.12", "21.2 ± 1.5", "2.1e-07", "1,000", "Seeds 0 to 3"):
        assert number in text
    for limit in card["limits"]:
        assert f"- {limit}" in text
    assert "![learning curve](learning_curve.png)\n\n![episode](episode.gif)" in text


def test_the_page_says_what_the_mean_return_is_of_if_the_card_does(card):
    assert "Their mean return ± standard error over 4 seeds: 21.2" in zoo.card_to_markdown(card)
    card["training"]["mean_return_of"] = "the last tenth"
    assert "Their mean return (the last tenth) ± standard error" in zoo.card_to_markdown(card)


def test_no_text_of_a_card_breaks_a_table(card):
    card["symmetry"]["state"] = "a | b\nc | d"
    (line,) = [line for line in zoo.card_to_markdown(card).splitlines() if "acts on states" in line]
    assert "a \\| b c \\| d" in line


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (500.0, 0.0, "500 ± 0"),
        (0.998, 0.0014, "0.9980 ± 0.0014"),
        (473.21, 12.6, "473 ± 13"),
        (-0.5, 0.25, "-0.50 ± 0.25"),
    ],
)
def test_numbers_have_two_digits_of_their_error(mean, error, text):
    assert cards._with_error({"mean": mean, "standard_error": error}) == text


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 %"), (0.0, "0 %"), (0.99999, "99.99 %"), (0.5, "50.00 %")]
)
def test_a_hundred_percent_means_all(share, text):
    assert cards._percent(share) == text


def test_the_table_has_a_row_for_every_card(pristine):
    both = [zoo.card(name, pristine) for name in zoo.list(pristine)]
    heading, _, *rows = zoo.table(both, "../zoo").splitlines()
    assert len(rows) == 2 and heading.count("|") == rows[0].count("|") == 14
    assert f"[{NAME}](../zoo/{NAME}/README.md)" in rows[0]
    for cell in ("CartPole", "gcnn", "65 + 45", "21.2 ± 1.5", "9.50 ± 0.12", "0 %", "kB"):
        assert cell in rows[0]
    assert "](" not in zoo.table(both)


def test_the_index_describes_every_file(folder):
    index = json.loads((folder / "index.json").read_text())
    assert index["format"] == 1 and list(index["models"]) == sorted(index["models"])
    entry = index["models"][NAME]
    assert entry["environment"] == "CartPole" and entry["kind"] == "gcnn"
    assert set(entry["files"]) == {file.name for file in (folder / NAME).iterdir()}
    before = (folder / "index.json").read_bytes()
    assert zoo.write_index(folder).read_bytes() == before


def rename(folder):
    (folder / NAME).rename(folder / "another-name")


def spoil_card(folder):
    (folder / NAME / "card.json").write_text("{}")


def add_file(folder):
    (folder / NAME / "notes.txt").write_text("not in the card")


def remove_readme(folder):
    (folder / NAME / "README.md").unlink()


def remove_model(folder):
    (folder / NAME / "actor.keras").unlink()


def empty_folder(folder):
    (folder / "new-model").mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (rename, "must be called like its model"),
        (spoil_card, "`format` must be there"),
        (add_file, "card.json must list .*notes.txt"),
        (remove_readme, "README.md must exist"),
        (remove_model, "actor.keras must exist"),
        (empty_folder, "new-model/card.json must exist"),
    ],
)
def test_no_index_is_written_of_a_zoo_that_is_wrong(folder, damage, message):
    before = (folder / "index.json").read_bytes()
    damage(folder)
    with pytest.raises(ValueError, match=message):
        zoo.write_index(folder)
    assert (folder / "index.json").read_bytes() == before


def test_hidden_files_belong_to_no_model(folder):
    (folder / ".cache").mkdir()
    (folder / NAME / ".DS_Store").write_bytes(b"")
    zoo.write_index(folder)
    assert zoo.verify(NAME, folder) and len(zoo.list(folder)) == 2


def test_the_table_replaces_what_stands_between_the_markers(pristine, tmp_path):
    page = tmp_path / "zoo.md"
    page.write_text(f"before\n{cards.TABLE_START}\nold\n{cards.TABLE_END}\nafter\n")
    both = [zoo.card(name, pristine) for name in zoo.list(pristine)]
    text = zoo.write_table(page, both)
    assert page.read_text() == text and "old" not in text and zoo.table(both, "../zoo") in text
    assert text.startswith("before\n") and text.endswith(f"{cards.TABLE_END}\nafter\n")
    assert zoo.write_table(page, both) == text


@pytest.mark.parametrize(
    "text",
    [
        "no markers",
        cards.TABLE_START,
        cards.TABLE_END + cards.TABLE_START,
        (cards.TABLE_START + cards.TABLE_END) * 2,
    ],
)
def test_a_page_without_markers_is_left_alone(tmp_path, text):
    page = tmp_path / "zoo.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="must have the lines"):
        zoo.write_table(page, [])
    assert page.read_text() == text
    with pytest.raises(ValueError, match="must be a file"):
        zoo.write_table(tmp_path / "none.md", [])


def test_the_readme_is_written_from_the_card(folder):
    place = folder / NAME
    shutil.copy(place / "README.md", folder / "copy")
    (place / "README.md").write_text("changed by hand")
    assert zoo.write_readme(place).read_bytes() == (folder / "copy").read_bytes()
    with pytest.raises(ValueError, match="card.json must exist"):
        zoo.write_readme(folder)
