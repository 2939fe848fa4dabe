"""Every task with a name has a card: whose images, under which licence, how many; looking at it fetches nothing."""

import re
import socket
from html.parser import HTMLParser

import pytest
from photos import photos

import helpers as h
from helpers.images.catalog import CARDS, NOT_STATED, Card
from helpers.images.drawn import garden
from helpers.images.tasks import EMBEDDED, Files, open_task

PUBLISHED = [name for name in CARDS if name not in EMBEDDED]


class Tags(HTMLParser):
    """Fails for a tag that is closed wrongly; collects addresses and what is in table cells."""

    def __init__(self, html):
        super().__init__()
        self.open, self.links, self.cells = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_the_cards_are_the_single_list_of_names():
    assert EMBEDDED == ("goldfinches", "flowers", "tissue") and list(CARDS)[:3] == [*EMBEDDED]
    assert PUBLISHED == ["flowers102", "hotdog", "goldfinch-photos"]
    assert all(card.name == name for name, card in CARDS.items())


@pytest.mark.parametrize("name", CARDS)
def test_every_card_says_whose_images_how_many_and_under_which_licence(name, no_network):
    card = h.describe(name)
    assert isinstance(card, Card) and "describe" in h.__all__
    for said in (card.title, card.source, card.licence, card.images, card.splits, card.citation):
        assert said and said in repr(card)
    assert card.classes >= 2 and card.embedded == (name in EMBEDDED) == (not card.instead) == (not card.address)


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_cards_count_the_classes_that_there_are(name):
    assert CARDS[name].classes == len(garden.class_names(name)) and CARDS[name].megabytes == "nothing"


def test_what_nobody_states_is_said_to_be_not_stated():
    assert CARDS["flowers102"].licence == CARDS["hotdog"].licence == NOT_STATED
    assert CARDS["hotdog"].megabytes == f"size {NOT_STATED}" and CARDS["flowers102"].megabytes == "345 MB"
    assert CARDS["flowers102"].download == 344_862_509 + 502 + 14_989  # the archive, the labels, the splits


def test_flowers102_says_which_split_is_which():
    text = CARDS["flowers102"].splits
    assert re.fullmatch("official: 1,020 for training, 1,020 for validation.*, 6,149 for test.*", text)
    assert int(CARDS["flowers102"].images.replace(",", "")) == 1020 + 1020 + 6149


def test_the_table_has_every_task_in_text_and_in_html(no_network):
    table = h.describe()
    lines = repr(table).splitlines()
    assert [line.split()[0] for line in lines[1 : len(CARDS) + 1]] == [*CARDS]
    tags = Tags(table._repr_html_())
    assert len(tags.cells) == 6 * (len(CARDS) + 1) and set(CARDS) <= set(tags.cells)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_card_in_a_notebook_links_to_the_page_of_its_source_alone(name):
    card = CARDS[name]
    tags = Tags(card._repr_html_())
    assert tags.links == [card.address] and card.address.startswith("https://")
    assert {text for row in card.rows() for text in row} == set(tags.cells)


def test_a_card_is_escaped_in_html():
    odd = Card("<b>", "<i>", "&", "", "<u>", 0, 2, "1", "none", "x", ("<script>",))
    html = odd._repr_html_()
    assert "<i>" not in html and "<script>" not in html and "<u>" not in html and Tags(html)


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("Flowers102", "flowers102"),
        ("flowers-102", "flowers102"),
        ("oxford flowers 102", "flowers102"),
        ("hotdogs", "hotdog"),
        ("Hot Dog", "hotdog"),
        ("goldfinch", "goldfinches"),
        ("goldfinch_photos", "goldfinch-photos"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_one_that_was_meant(typed, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"Did you mean '{meant}'"):
        h.describe(typed)
    with pytest.raises(FileNotFoundError, match=f"Did you mean '{meant}'"):
        open_task(typed)


def test_a_name_like_no_task_is_refused_with_all_names():
    with pytest.raises(ValueError, match="goldfinches, flowers, tissue, flowers102, hotdog, goldfinch-photos") as caught:
        h.describe("./my photos")
    assert "Did you mean" not in str(caught.value) and "inspect_images" in str(caught.value)
    with pytest.raises(ValueError, match="no task is called"):
        h.describe(3)


def test_the_name_of_a_task_means_the_task_also_beside_a_folder_of_that_name(tmp_path, monkeypatch, capsys):
    photos(tmp_path / "flowers", a=8, b=8)
    monkeypatch.chdir(tmp_path)
    task = open_task("flowers", 1, size=16, val=1, test=1)
    assert len(task.classes) == 10 and task.card is CARDS["flowers"]
    assert "'flowers' is the task of this name" in capsys.readouterr().out
    folder = open_task("./flowers", 1, size=16, files=Files(tmp_path / "cache"))
    assert folder.classes == ["a", "b"] and folder.card is None and "is the task" not in capsys.readouterr().out


def test_a_manifest_goes_with_goldfinch_photographs_only(tmp_path):
    photos(tmp_path / "p", a=8, b=8)
    for name in ("hotdog", "flowers", tmp_path / "p"):
        with pytest.raises(ValueError, match=r"manifest='set\.json' goes with \"goldfinch-photos\", not with"):
            open_task(name, 1, files=Files(tmp_path, manifest="set.json"))


def test_an_embedded_task_has_a_card_and_describes_itself_as_ever():
    task = open_task("flowers", 1, size=16, val=1, test=1)
    assert task.card is CARDS["flowers"] and "licence" not in task.describe()
    assert len(task.describe().splitlines()) == 13
