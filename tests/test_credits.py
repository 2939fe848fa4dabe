"""Whose photographs a figure shows is said below it, whatever way they took to it."""

import ast
import hashlib
import io
import shutil
import warnings
from functools import lru_cache

import IPython.display
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from finches_standin import photographs
from matplotlib.figure import Figure
from PIL import Image
from project import ROOT
from test_plots import a_fit

import helpers as h
from helpers.images import attribution, credits
from helpers.images.attribution import figure_credits
from helpers.images.augmentation import augment
from helpers.images.decoding import open_image
from helpers.images.drawn.garden import render_split
from helpers.images.manifests import SPECIES
from helpers.lessons.goldfinches.saliency import plot_class_maps
from helpers.lessons.pretext.tasks import rotate, views
from helpers.lessons.variants import depths as sliders
from helpers.lessons.variants.diagrams import plot_dataset_view
from helpers.lessons.your_own_images import uploading
from helpers.notebook import legibility

NAMES = {1000: "王小明 (wang_xm)", 1001: "José $x_1$ Núñez & <b>Co</b>", 1002: "أحمد (ahmad)"}
ALT = "Goldfinches of four species, a row each."


def line(number):
    return f"photo {number} by {NAMES.get(number, f'A. Photographer-{number}')}, CC BY 4.0, inaturalist.org/photos/{number}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place, lines = tmp_path_factory.mktemp("finches") / "set", {}
    for path, content in photographs(8).items():
        number = int(path.split("/")[2])
        file = place / [*SPECIES.values()][(number - 1000) % 4] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        lines[hashlib.sha256(content).hexdigest()] = line(number)
    credits.keep_credits(place, lines)
    return place


@pytest.fixture
def task(folder):
    credits.forget()
    yield h.open_task(folder, 4, cache_dir=folder.parent / "cache")
    credits.forget()


def numbers_of(split):
    return [int(file.split("/")[-1].split("\\")[-1].removesuffix(".jpg")) for file in split.files]


def foot(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts if text.get_gid() == attribution.GID).replace("\n", " ")


# --- every figure ---


def a_mistake(task):
    run = a_fit([0] * len(task.test), [1] * len(task.test), task.classes)
    run.task.test = task.test
    return run


SHOWS_PICTURES = {  # name -> (the figure, how many photographs are in it)
    "plot_images": lambda task, folder: (h.plot_images(task.train.pixels[:5]), 5),
    "plot_split": lambda task, folder: (h.plot_split(task.train, task.classes, 2), 8),
    "plot_mistakes": lambda task, folder: (h.plot_mistakes(a_mistake(task), 3), 3),
    "plot_class_maps": lambda task, folder: (plot_class_maps(task.val.pixels[:2], {"it": torch.randn(2, 4, 4)}), 2),
    "plot_dataset_view": lambda task, folder: (plot_dataset_view(siskins(4), 9, 900, task), 16),
    "sheet": lambda task, folder: (report(folder).sheet(3), 12),
    "twins": lambda task, folder: (report(folder, near=256).twins(1), 4),
    "odd_sheet": lambda task, folder: (report(folder, max_pixels=5000).odd_sheet(3), 3),
}
THROUGH_OTHERS = {"class_sheet", "twin_sheet"}  # what the methods of a report call
NO_PICTURES = {"plot_map", "plot_confusion"}  # their cells are numbers


def siskins(count):
    return render_split("flowers", "train", count, 0, 64)[0]


def report(folder, **settings):
    return h.inspect_images(folder, cache_dir=folder.parent / "cache", **settings)


@lru_cache
def functions():
    """Every function and method of the library: (name, what it calls, whether it writes an image as HTML)."""
    found = []
    for file in sorted((ROOT / "helpers").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                parts = list(ast.walk(node))
                called = {getattr(one.func, "attr", getattr(one.func, "id", "")) for one in parts if isinstance(one, ast.Call)}
                texts = "".join(one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str))
                found.append((node.name, called, "<img" in texts and "src=" in texts))
    return found


def test_no_figure_function_that_shows_pictures_is_forgotten():
    shows, before = {"imshow", "figimage"}, set()
    while shows != before:
        before, shows = shows, shows | {name for name, called, _ in functions() if called & shows}
    public = {name for name in shows - {"imshow", "figimage"} if not name.startswith("_")}
    assert public == {*SHOWS_PICTURES} | THROUGH_OTHERS | NO_PICTURES, "add it to SHOWS_PICTURES, so that its credits are tested"


def test_no_place_that_writes_pictures_as_html_is_forgotten():
    writes = {name for name, _, html in functions() if html}
    assert writes == {"show", "picture_html", "image_html", "_said"}, "does it show pictures that need credits?"


@pytest.mark.parametrize("name", SHOWS_PICTURES)
def test_every_figure_of_photographs_says_whose_they_are(name, task, folder):
    figure, count = SHOWS_PICTURES[name](task, folder)
    assert len(figure_credits(figure)) == count
    for credit in figure_credits(figure):
        assert credit.split()[1] in foot(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a sign that the font lacks, say
        figure.draw_without_rendering()
    height = figure.get_size_inches()[1] * figure.dpi
    (text,) = [text for text in figure.texts if text.get_gid() == attribution.GID]
    box = text.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.get_size_inches()[0] * figure.dpi and 0 <= box.y0 < box.y1 < height
    lowest = min(axes.get_tightbbox().y0 for axes in figure.axes if axes.images)
    assert box.y1 <= lowest + 1, "the credits lie over the pictures"


# --- every way ---

WAYS = {
    "as they are": lambda x: x,
    "one by one, rows last": lambda x: x.permute(0, 2, 3, 1),
    "in 0..1": lambda x: x.float() / 255,
    "augmented": augment,
    "augmented in 0..1": lambda x: augment(x.float() / 255),
    "views for contrast": lambda x: (255 * views(x)).byte(),
    "turned": lambda x: rotate(x)[0][6:12],
    "mirrored": lambda x: x.flip(3),
    "darker": lambda x: (x * 0.6).byte(),
    "grey": lambda x: x.float().mean(1),
    "smaller": lambda x: F.interpolate(x.float(), 32, mode="bilinear", antialias=True).byte(),
    "larger": lambda x: F.interpolate(x.float() / 255, 128, mode="bilinear"),
    "as numpy": lambda x: x.numpy(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_photograph_is_known_whatever_was_done_to_it(way, task):
    torch.manual_seed(0)
    pictures = WAYS[way](task.train.pixels[:6])
    found = [credits.credit_of(picture) for picture in pictures]
    assert found == [line(number) for number in numbers_of(task.train)[:6]]


def test_a_copy_elsewhere_under_another_name_is_known(task, folder, tmp_path):
    credits.forget()
    for place in ("a", "b"):
        (tmp_path / "mine" / place).mkdir(parents=True)
    for number, file in enumerate(sorted(folder.rglob("*.jpg"))[:20]):
        shutil.copy(file, tmp_path / "mine" / "ab"[number % 2] / f"bird{number}.jpg")
    (tmp_path / "cache" / "goldfinch-photos").mkdir(parents=True)
    shutil.copy(folder / credits.FILE, tmp_path / "cache" / "goldfinch-photos")
    mine = h.open_task(tmp_path / "mine", 2, cache_dir=tmp_path / "cache", size=32)
    assert len(figure_credits(h.plot_images(mine.train.pixels))) == 4


def test_other_pictures_get_no_credit(task):
    others = torch.cat([render_split(name, "train", 12, 0, 64)[0] for name in ("goldfinches", "flowers", "tissue")])
    blank = torch.stack([torch.full((3, 64, 64), value, dtype=torch.uint8) for value in (0, 128, 255)])
    ramp = torch.arange(64).mul(4).byte().expand(1, 3, 64, 64)
    assert credits.credits_of([*others, *blank, *ramp, *torch.rand(4, 3, 7, 7), np.zeros(3)]) == []
    assert foot(h.plot_images(others[:8])) == ""
    assert figure_credits(h.plot_confusion(torch.tensor([0, 1]), torch.tensor([0, 0]), ["a", "b"])) == []


def test_a_figure_of_embedded_pictures_is_the_same_whether_photographs_are_open_or_not(task):
    def stored(figure):
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
        return out.getvalue()

    with_photographs = stored(h.plot_images(siskins(2)[:12]))
    credits.forget()
    assert stored(h.plot_images(siskins(2)[:12])) == with_photographs
    assert not credits.anything_known() and credits.credit_of(task.train.pixels[0]) == ""


def test_random_views_are_remembered_up_to_a_bound(task, monkeypatch):
    monkeypatch.setattr(credits, "_VIEWS", 20)
    for _ in range(4):
        latest = augment(task.train.pixels)
    assert len(credits._views) == 20 and credits.credit_of(latest[-1]) == line(numbers_of(task.train)[-1])


# --- what is said ---


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr(IPython.display, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def test_show_lists_the_credits_as_text_with_links(task, shown):
    rows = torch.tensor([numbers_of(task.pool).index(number) for number in numbers_of(task.pool)[:3]])
    h.show(h.plot_images(task.pool[rows][0]), ALT)
    html, text = shown[0]["text/html"], shown[0]["text/plain"]
    for number in numbers_of(task.pool)[:3]:
        assert f'<a href="https://www.inaturalist.org/photos/{number}">' in html and line(number) in text
    assert html.count('<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>') == 3
    assert f'alt="{ALT}"' in html and "http" not in html.split('alt="')[1].split('"')[0]
    h.show(h.plot_images(siskins(2)), ALT)
    assert shown[1]["text/html"].endswith(f"<figcaption><small>{ALT}</small></figcaption></figure>")


def test_a_name_cannot_write_html_or_formulas_and_needs_no_other_font(shown):
    lines = [line(number) for number in NAMES]
    html = attribution.credits_html(lines)
    assert "<b>" not in html and "&lt;b&gt;" in html and "王小明 (wang_xm)" in html
    drawn = " ".join(attribution.printed(lines))
    assert "wang_xm" in drawn and "ahmad" in drawn and "José $x_1$ Núñez" in drawn and "王" not in drawn


def test_a_figure_drawn_by_hand_is_credited_when_it_is_shown_and_only_once(task, shown):
    figure = Figure(figsize=(4, 3))
    left, right = figure.subplots(1, 2)
    left.imshow(task.train.pixels[0].permute(1, 2, 0).numpy())
    for _ in range(2):
        h.show(figure, ALT)
    first, high = foot(figure), figure.get_size_inches()[1]
    assert f"inaturalist.org/photos/{numbers_of(task.train)[0]}" in first and foot(figure).count("Photograph by") == 1
    right.imshow(task.train.pixels[1].permute(1, 2, 0).numpy())
    h.show(figure, ALT)
    assert foot(figure).count("Photograph by") == 2 and high < figure.get_size_inches()[1]
    for axes in figure.axes:
        axes.clear()
    h.show(figure, ALT)
    assert foot(figure) == "" and figure.get_size_inches()[1] == pytest.approx(3)


def test_a_long_list_is_wrapped_between_photographs_and_small_print_leaves_other_text_as_it_is(task):
    figure = h.plot_images(task.pool.pixels, columns=10, width=0.8)
    (text,) = [text for text in figure.texts if text.get_gid() == attribution.GID]
    lines = text.get_text().split("\n")
    assert len(lines) > 3 and text.get_fontsize() >= 8
    assert all(one[0].isdigit() and one.endswith((";", ").")) for one in lines[2:])
    assert not [one for one in legibility.texts_of(figure) if one.get_gid() == attribution.GID]


def test_a_figure_that_follows_a_slider_says_it_too(task):
    _, words = sliders._picture(h.plot_images(task.train.pixels[:2]), "Two birds.")
    assert words.startswith("Two birds. Photographs: ") and line(numbers_of(task.train)[0]) in words


def test_the_answer_to_an_uploaded_photograph_says_whose_it_is(task, folder):
    file = next(folder.rglob("1005.jpg"))
    assert "inaturalist.org/photos/1005" in uploading.reply(lambda content: "a bird", "mine.jpg", file.read_bytes())
    again = io.BytesIO()
    open_image(file).resize((300, 218)).save(again, "JPEG", quality=60)
    assert "inaturalist.org/photos/1005" in uploading.reply(lambda content: "a bird", "mine.jpg", again.getvalue())
    other = io.BytesIO()
    Image.fromarray(siskins(1)[0].permute(1, 2, 0).numpy()).save(other, "PNG")
    assert "inaturalist" not in uploading.reply(lambda content: "a bird", "mine.png", other.getvalue())
