"""Every task with a name has a card: whose images, under which licence, how many; looking at it fetches nothing."""

import socket
from xml.etree import ElementTree

import pytest
from photos import photos

import helpers as h
from helpers.images.catalog import CARDS, Card
from helpers.images.drawn import garden
from helpers.images.published import FLOWERS_SIZES
from helpers.images.tasks import EMBEDDED, Files, open_task

PUBLISHED = [name for name in CARDS if name not in EMBEDDED]


def parsed(html):
    """The addresses and the texts of the cells in HTML that closes every tag."""
    root = ElementTree.fromstring(f"<div>{html}</div>")
    cells = ["".join(cell.itertext()) for kind in ("th", "td") for cell in root.iter(kind)]
    return [link.get("href") for link in root.iter("a")], cells


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("a connection was tried"))


def test_the_cards_are_the_single_list_of_names():
    assert list(CARDS) == [*EMBEDDED, *PUBLISHED] and all(card.name == name for name, card in CARDS.items())
    assert EMBEDDED == ("goldfinches", "flowers", "tissue")
    assert PUBLISHED == ["flowers102", "hotdog", "ants-bees", "goldfinch-photos"]


@pytest.mark.parametrize("name", CARDS)
def test_every_card_says_whose_images_how_many_and_under_which_licence(name, no_network):
    card = h.describe(name)
    for said in (card.title, card.source, card.licence, card.images, card.splits, card.citation, *card.notes):
        assert said and said == said.strip() and said in repr(card)
    assert name not in EMBEDDED or (card.classes, card.megabytes) == (len(garden.class_names(name)), "nothing")
    assert card.classes >= 2 and card.embedded == (name in EMBEDDED) == (not card.instead) == (not card.address)
    links, cells = parsed(card._repr_html_())
    assert links == [card.address] * (name in PUBLISHED) and all(link.startswith("https://") for link in links)
    assert {text for row in card.rows() for text in row} == set(cells)


def test_published_cards_state_sizes_splits_and_licences_as_their_sources_do_or_that_they_are_not_stated():
    flowers, hotdog = CARDS["flowers102"], CARDS["hotdog"]
    assert flowers.licence == hotdog.licence == "not stated" and hotdog.megabytes == "size not stated"
    assert flowers.download == sum(FLOWERS_SIZES.values()) and flowers.megabytes == "345 MB"
    assert all(f"{count:,} for" in flowers.splits for count in (1020, 6149)) and flowers.images == f"{1020 + 1020 + 6149:,}"


def test_the_table_has_every_task_in_text_and_in_html(no_network):
    table = h.describe()
    lines = repr(table).splitlines()
    assert [line.split()[0] for line in lines[1 : len(CARDS) + 1]] == [*CARDS]
    _, cells = parsed(table._repr_html_())
    assert len(cells) == 6 * (len(CARDS) + 1) and set(CARDS) <= set(cells)


def test_a_card_is_escaped_in_html():
    odd = Card("<b>", "<i>", "&", "<u>", 2, "1", "none", "x", ("<script>",))
    html = odd._repr_html_()
    assert "<i>" not in html and "<script>" not in html and "<u>" not in html and parsed(html)


@pytest.mark.parametrize("typed, meant", [
    ("flowers-102", "flowers102"), ("oxford flowers 102", "flowers102"), ("Hot Dogs", "hotdog"), ("goldfinch", "goldfinches"),
    ("goldfinch_photos", "goldfinch-photos"),
])  # fmt: skip
def test_a_misspelt_name_is_answered_with_the_one_that_was_meant(typed, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"Did you mean '{meant}'"):
        h.describe(typed)
    with pytest.raises(FileNotFoundError, match=f"Did you mean '{meant}'"):
        open_task(typed)


def test_a_name_like_no_task_is_refused_with_all_names():
    names = "goldfinches, flowers, tissue, flowers102, hotdog, ants-bees, goldfinch-photos"
    with pytest.raises(ValueError, match=names) as caught:
        h.describe("./my photos")
    assert "Did you mean" not in str(caught.value) and "inspect_images" in str(caught.value)
    with pytest.raises(ValueError, match="no task is called"):
        h.describe(3)


def test_the_name_of_a_task_means_the_task_also_beside_a_folder_of_that_name(tmp_path, monkeypatch, capsys):
    photos(tmp_path / "flowers", a=8, b=8)
    monkeypatch.chdir(tmp_path)
    task = open_task("flowers", 1, size=16, val=1, test=1)
    assert len(task.classes) == 10 and task.card is CARDS["flowers"] and "licence" not in task.describe()
    assert "'flowers' is the task of this name" in capsys.readouterr().out
    folder = open_task("./flowers", 1, size=16, files=Files(tmp_path / "cache"))
    assert folder.classes == ["a", "b"] and folder.card is None and "is the task" not in capsys.readouterr().out


def test_a_manifest_goes_with_goldfinch_photographs_only(tmp_path):
    photos(tmp_path / "p", a=8, b=8)
    for name in ("hotdog", "flowers", tmp_path / "p"):
        with pytest.raises(ValueError, match=r"manifest='set\.json' goes with \"goldfinch-photos\", not with"):
            open_task(name, 1, files=Files(tmp_path, manifest="set.json"))
