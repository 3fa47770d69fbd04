"""What a card must say, and what is written from cards."""

import copy
import json
import re
import shutil

import pytest
import zoo_cases
from markdown_it import MarkdownIt

from tf_equirl import publishing, zoo
from tf_equirl.publishing import card_tables, markdown
from tf_equirl.zoo import card_rules, field_rules

NAME = "cartpole-ppo-gcnn"
TRANSITION_NAME = "cartpole-transition-gcnn"


@pytest.fixture
def card(pristine):
    return zoo_cases.read_card(pristine / NAME)


@pytest.fixture
def transition_card(pristine_mixed):
    return zoo_cases.read_card(pristine_mixed / TRANSITION_NAME)


@pytest.fixture
def cards_by_type(card, transition_card):
    return {"policy": card, "transition model": transition_card}


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


FIELDS = [(of, place) for of, rules in card_rules._RULES.items() for place in fields(rules)]


@pytest.mark.parametrize("of", ["policy", "transition model"])
def test_the_cards_of_the_tests_are_valid(cards_by_type, of):
    zoo.validate_card(cards_by_type[of])
    zoo.validate_card({**cards_by_type[of], "a_field_of_the_future": None})
    assert sum(field[0] == of for field in FIELDS) > 40


def test_a_card_without_a_type_is_that_of_a_policy(card, transition_card):
    assert "type" not in card and zoo.type_of(card) == zoo.POLICY
    assert zoo.type_of(transition_card) == zoo.TRANSITION_MODEL
    zoo.validate_card({**card, "type": "policy"})
    with pytest.raises(ValueError, match="`networks.transition` must be there"):
        zoo.validate_card({**card, **{"type": "transition model"}, "head": transition_card["head"]})
    for wrong in ("a policy", "", None, ["policy"]):
        with pytest.raises(ValueError, match="`type` must be one of: policy, transition model"):
            zoo.validate_card({**card, "type": wrong})


@pytest.mark.parametrize(("of", "place"), FIELDS, ids=lambda x: ".".join(x).replace(" ", "_"))
def test_every_field_is_required_and_checked(cards_by_type, of, place):
    card, name = cards_by_type[of], ".".join(place)
    without = copy.deepcopy(card)
    inner = without
    for part in place[:-1]:
        inner = inner[part]
    del inner[place[-1]]
    with pytest.raises(ValueError, match=f"`{name}` must be there"):
        zoo.validate_card(without)
    for wrong in (float("nan"), float("inf"), True, "", [], {}, -0.5, [None], ["", "x"]):
        if wrong == -0.5 and of == "policy" and field_rules.NUMBER.holds(inner_value(card, place)):
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
    text = publishing.card_to_markdown(card)
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
    assert zoo.success_return({"success": success}) == threshold
    card["evaluation"]["greedy"]["success"] = success
    zoo.validate_card(card)


def assert_all_texts_are_said(card, text):
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


def test_the_page_says_everything_that_the_card_says(card):
    text = publishing.card_to_markdown(card)
    assert_all_texts_are_said(card, text)
    for number in ("65", "45", "9.50 ± 0.12", "21.2 ± 1.5", "2.1e-07", "1,024", "Seeds 0 to 3"):
        assert number in text
    for limit in card["limits"]:
        assert f"- {limit}" in text
    assert "![learning curve](learning_curve.png)\n\n![episode](episode.gif)" in text


def test_the_page_of_a_transition_model_says_everything_that_its_card_says(transition_card):
    transition_card["evaluation"]["all_pairs"] = {"pairs": 675, "mean_square": 0.0625}
    transition_card["equivariance"]["mode_share"] = 0.75
    text = publishing.card_to_markdown(transition_card)
    assert_all_texts_are_said(transition_card, text)
    assert "entry.actor" not in text and "greedy" not in text
    for said in (
        "entry.transition_model([observations, actions])",
        "[batch, 4] and [batch, 2] to [batch, 4]",
        "On 300 transitions of seed 7",
        "all 675 pairs of state and action",
        "| mean square | 0.250 ± 0.012 | 0.0625 |",
        "from 50 of these states",
        "| error | 0.25 | 1.5 |",
        "100 % of 10,000 pairs of state and action (of most likely categories: 75.00 %)",
        "for 7 epochs each",
        "standard error over 4 seeds: (2.13 ± 0.31)e-04",
        '"seed": 3',
        "![training curve](training_curve.png)",
    ):
        assert said in re.sub(" +", " ", text), said


def test_the_page_says_what_the_mean_return_is_of_if_the_card_does(card):
    assert "Their mean return ± standard error over 4 seeds: 21.2" in publishing.card_to_markdown(
        card
    )
    card["training"]["mean_return_of"] = "the last tenth"
    assert "Their mean return (the last tenth) ± standard error" in publishing.card_to_markdown(
        card
    )


def test_no_text_of_a_card_breaks_a_table(card):
    card["symmetry"]["state"] = "a | b\nc | d"
    (line,) = [
        line for line in publishing.card_to_markdown(card).splitlines() if "acts on states" in line
    ]
    assert "a \\| b c \\| d" in line


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (500.0, 0.0, "500 ± 0"),
        (0.998, 0.0014, "0.9980 ± 0.0014"),
        (473.21, 12.6, "473 ± 13"),
        (-0.5, 0.25, "-0.50 ± 0.25"),
        (0.99998, 0.00001, "0.999980 ± 0.000010"),
        (2.134e-4, 3.1e-6, "(2.134 ± 0.031)e-04"),
        (0.0, 1e-6, "(0.0 ± 1.0)e-06"),
    ],
)
def test_numbers_have_two_digits_of_their_error(mean, error, text):
    assert markdown.with_error({"mean": mean, "standard_error": error}) == text


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 %"), (0.0, "0 %"), (0.99999, "99.99 %"), (0.5, "50.00 %")]
)
def test_a_hundred_percent_means_all(share, text):
    assert markdown.percent(share) == text


def test_the_table_has_a_row_for_every_card(pristine):
    both = [zoo.card(name, pristine) for name in zoo.list(pristine)]
    heading, _, *rows = publishing.table(both, "../zoo").splitlines()
    assert len(rows) == 2 and heading.count("|") == rows[0].count("|") == 14
    assert f"[{NAME}](../zoo/{NAME}/README.md)" in rows[0]
    for cell in ("CartPole", "gcnn", "65 + 45", "21.2 ± 1.5", "9.50 ± 0.12", "0 %", "kB"):
        assert cell in rows[0]
    assert "](" not in publishing.table(both)


def test_transition_models_have_a_table_of_their_own(pristine_mixed, pristine):
    of_all = [zoo.card(name, pristine_mixed) for name in zoo.list(pristine_mixed)]
    of_policies = [zoo.card(name, pristine) for name in zoo.list(pristine)]
    assert publishing.table(of_all) == publishing.table(of_policies)
    heading, _, row = publishing.table(of_all, "../zoo", "transition model").splitlines()
    assert heading.count("|") == row.count("|")
    assert f"[{TRANSITION_NAME}](../zoo/{TRANSITION_NAME}/README.md)" in row
    for cell in ("gcnn-readout", "4,000", "(2.13 ± 0.31)e-04", "0.250 ± 0.012", "1.5", "100 %"):
        assert cell in row
    with pytest.raises(ValueError, match="must be one of"):
        publishing.table(of_all, of="agent")


@pytest.mark.parametrize(
    ("metrics", "cell"), [(["mean_square"], "|  "), (["mean_square", "accuracy"], "99.99 %")]
)
def test_shares_of_right_predictions_stand_where_there_are_some(transition_card, metrics, cell):
    transition_card["head"]["metrics"] = metrics
    scores = {"mean": 0.99999, "standard_error": 0.0}
    transition_card["evaluation"]["metrics"] = dict.fromkeys(metrics, scores)
    assert cell in publishing.table([transition_card], of="transition model").splitlines()[-1]
    transition_card["evaluation"]["metrics"] = {"another": scores}
    with pytest.raises(ValueError, match="`evaluation.metrics` must be of head.metrics"):
        zoo.validate_card(transition_card)
    transition_card["evaluation"].update(metrics=dict.fromkeys(metrics, scores), all_pairs={"x": 1})
    with pytest.raises(ValueError, match="`evaluation.all_pairs` must be null, or say how many"):
        zoo.validate_card(transition_card)


@pytest.mark.parametrize("file", ["transition.keras", "golden.npz"])
def test_the_files_of_a_transition_model_must_be_listed(transition_card, file):
    del transition_card["files"][file]
    with pytest.raises(ValueError, match=f"a list with {file}"):
        zoo.validate_card(transition_card)


def test_the_index_tells_policies_from_transition_models(pristine_mixed):
    models = json.loads((pristine_mixed / "index.json").read_text())["models"]
    assert models[NAME]["type"] == "policy"
    entry = models[TRANSITION_NAME]
    assert (entry["type"], entry["kind"]) == ("transition model", "gcnn-readout")


def test_the_index_describes_every_file(folder):
    index = json.loads((folder / "index.json").read_text())
    assert index["format"] == 1 and list(index["models"]) == sorted(index["models"])
    entry = index["models"][NAME]
    assert entry["environment"] == "CartPole" and entry["kind"] == "gcnn"
    assert set(entry["files"]) == {file.name for file in (folder / NAME).iterdir()}
    before = (folder / "index.json").read_bytes()
    assert publishing.write_index(folder).read_bytes() == before


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
        publishing.write_index(folder)
    assert (folder / "index.json").read_bytes() == before


def test_hidden_files_belong_to_no_model(folder):
    (folder / ".cache").mkdir()
    (folder / NAME / ".DS_Store").write_bytes(b"")
    publishing.write_index(folder)
    assert zoo.verify(NAME, folder) and len(zoo.list(folder)) == 2


MARKERS = [marker for markers in card_tables._MARKERS.values() for marker in markers]


def test_the_tables_replace_what_stands_between_their_markers(pristine_mixed, tmp_path):
    page = tmp_path / "zoo.md"
    page.write_text("\nold\n".join(["before", *MARKERS, "after"]))
    cards = [zoo.card(name, pristine_mixed) for name in zoo.list(pristine_mixed)]
    text = publishing.write_table(page, cards)
    assert page.read_text() == text
    for of in ("policy", "transition model"):
        assert publishing.table(cards, "../zoo", of) in text
    assert text.startswith("before\nold\n") and text.endswith("\nold\nafter")
    assert text.count("old") == 3  # before, between and after the tables
    assert publishing.write_table(page, cards) == text


@pytest.mark.parametrize(
    "text",
    [
        "no markers",
        MARKERS[0],
        MARKERS[1] + MARKERS[0],
        (MARKERS[0] + MARKERS[1]) * 2,
        MARKERS[0] + MARKERS[1],
        "".join(MARKERS[:3]),
    ],
)
def test_a_page_without_markers_is_left_alone(tmp_path, text):
    page = tmp_path / "zoo.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="must have the lines"):
        publishing.write_table(page, [])
    assert page.read_text() == text
    with pytest.raises(ValueError, match="must be a file"):
        publishing.write_table(tmp_path / "none.md", [])


def test_the_readme_is_written_from_the_card(folder):
    place = folder / NAME
    shutil.copy(place / "README.md", folder / "copy")
    (place / "README.md").write_text("changed by hand")
    assert publishing.write_readme(place).read_bytes() == (folder / "copy").read_bytes()
    with pytest.raises(ValueError, match="card.json must exist"):
        publishing.write_readme(folder)


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "[click][1] and [1]: javascript:alert(1)",
    "![x](https://example.org/x.png)",
    "<https://example.org>",
    "&lt;script&gt;",
    "**bold** _slanted_ ~~gone~~",
    "one\n\n# A forged heading\n\ntwo",
    "# A forged heading",
    "- a forged point",
    "1. a forged point",
    "A forged heading\n===",
    "> quoted",
    "| a | forged | row |",
    "`unclosed <b>",
    "```\ncode\n```",
    "back\\[slash](x)",
]


def with_text(card, text):
    """The card with a text wherever there may be any."""
    card = copy.deepcopy(card)
    card.update(description=text, use=text, limits=[text])
    card["symmetry"].update(state=text, action=text)
    card["networks"]["actor"].update(meaning=text, layers=[text])
    card["training"].update(rule=text, mean_return_of=text)
    if "\n" not in text:
        card["licence"] = card["symmetry"]["group"] = card["networks"]["critic"]["kind"] = text
        card["training"]["versions"] = {text: text}
    return card


def elements(page):
    """Kinds of the elements that CommonMark makes of a page, and the text that it shows."""
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    reader.validateLink = lambda url: True  # others follow any link
    tokens = reader.parse(page)
    inline = [part for token in tokens for part in token.children or ()]
    kinds = [token.type for token in (*tokens, *inline) if token.type not in ("text", "softbreak")]
    return kinds, "".join(part.content or " " for part in inline)


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_a_card_are_shown_and_not_obeyed(card, text):
    plain = " ".join(text.split())
    kinds, shown = elements(publishing.card_to_markdown(with_text(card, text)))
    if "`" in text:  # which makes code, and nothing else
        assert not {"html_inline", "html_block"} & set(kinds)
        return
    harmless = with_text(card, "one\ntwo" if "\n" in text else "one")
    assert kinds == elements(publishing.card_to_markdown(harmless))[0]
    assert shown.count(plain) >= (9 if "\n" in text else 14)
    assert plain in elements(publishing.table([with_text(card, text)]))[1] or "\n" in text


@pytest.mark.parametrize(
    "character", ["\x1b[2J", "\x00", "\r", "\x9b", "\u202e", "\u200b", "\ud800"]
)
@pytest.mark.parametrize("place", ["description", "config.actor", "data", "key"])
def test_control_and_invisible_characters_are_refused(card, character, place):
    text = f"a{character}b"
    if place == "key":
        card["config"][text] = 1
    elif place == "data":
        card["symmetry"]["data"] = {"a": [{"b": text}]}
    else:
        card = change(card, place.split("."), text)
    with pytest.raises(ValueError, match="no control or invisible characters") as error:
        zoo.validate_card(card)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("environment.name", 'CartPole"); import os; os.system("x'),
        ("environment.name", "Cart Pole"),
        ("environment.gymnasium_id", "a'b"),
        ("training.command", "python -m launchers.train_ppo; rm -rf ~"),
        ("training.command", "python -m launchers.train_ppo $(x)"),
        ("training.publish_command", "python\nrm"),
        ("training.git_commit", "`x`"),
        ("networks.actor.kind", "a\nb"),
    ],
)
def test_what_stands_in_code_and_commands_are_plain_words(card, place, words):
    with pytest.raises(ValueError, match=f"`{place}` must be"):
        zoo.validate_card(change(card, place.split("."), words))
