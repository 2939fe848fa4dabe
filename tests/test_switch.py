"""One line puts labs and lectures onto real photographs: their cells, run on stand-ins that lie in the cache, without a network.

Not run here, because it takes a GPU, or minutes: lecture 4 at full size on the real photographs (COURSE_RUN=full and
`make lab`, or `python tools/measure.py flowers102` once they are in the cache), and whole notebooks in a kernel:
COURSE_IMAGES=flowers102 COURSE_SOURCE=resnet18 python tools/execute.py with a copy of a solution.
"""

import contextlib
import io
import re

import nbformat
import pytest
import torch
from finches_standin import fill_cache as fill_finches
from origin import keep
from photos import pictures_of_kinds
from project import ROOT
from short.short_course import shorten
from standins import fill_cache
from torchvision.models import get_model, get_model_weights

import helpers as h
from helpers.lessons.budget import Budget
from helpers.lessons.fine_tuning import flowers102
from helpers.notebook.figures import add_credits

# What is the same whatever the images are: checks that try an answer on examples of their own, quizzes, shipped studies.
SAME = re.compile(
    r"setup|quiz-.*|tally|shipped|paired.*|seeds|grid.*|rate|scratch|order|reliability|check-.*|(?!contest-).*-check"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache folder with a small stand-in for each of the real sources, as after a download."""
    folder = tmp_path_factory.mktemp("cache")
    fill_cache(folder, "flowers102", train=1, val=1, test=1)
    fill_cache(folder, "hotdog")
    fill_finches(folder, 12)
    return folder


@pytest.fixture
def offline(cache, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(cache))
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    return monkeypatch


class Cells:
    """The code cells of a notebook, run one after the other in one namespace: what they left, printed and showed."""

    def __init__(self, path: str, monkeypatch, wanted=lambda cell: True, **names):
        self.names, self.said, self.figures = dict(names), {}, {}
        for cell in nbformat.read(ROOT / path, as_version=4).cells:
            if cell.cell_type == "code" and not SAME.fullmatch(cell.id) and "h.quiz(" not in cell.source and wanted(cell):
                note = lambda figure, alt, credits=(), at=cell.id: self.figures.update({at: (add_credits(figure, credits), alt)})
                monkeypatch.setattr(h, "show", note)
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(cell.source, f"{path}:{cell.id}", "exec"), self.names)
                self.said[cell.id] = out.getvalue()

    def __getitem__(self, name):
        return self.names[name]

    def largest_figure(self) -> float:
        """Inches of the longer side of the largest figure."""
        return max(max(figure.get_size_inches()) for figure, _ in self.figures.values())


def lab1(monkeypatch, images, budget="0.05"):
    """Lab 1 on these images, but for its contest, which is always about the drawn goldfinches."""
    for name, value in {"COURSE_RUN": "quick", "COURSE_IMAGES": images, "COURSE_BUDGET": budget}.items():
        monkeypatch.setenv(name, value)
    cells = Cells("solutions/lab1_flowers.ipynb", monkeypatch, lambda cell: not cell.id.startswith("contest"))
    assert "after loading: True" in cells.said["load"]
    assert all("two tensors: 0.0\n" in cells.said[cell] for cell in ("agree", "by-hand"))
    return cells


def test_lab1_on_a_folder_of_ones_own(monkeypatch, tmp_path):
    for name, pictures in pictures_of_kinds(3, 34).items():
        (tmp_path / name).mkdir()
        for number, picture in enumerate(pictures):
            picture.save(tmp_path / name / f"{number}.png")
    cells = lab1(monkeypatch, str(tmp_path), budget="0.5")
    assert cells["transferred"] > 0.55, f"{cells['transferred']:.0%} of three kinds are classified correctly (chance: 33%)"


def test_lab1_on_flowers102_trains_102_classes_and_shows_the_dozen_that_can_be_read(offline):
    cells = lab1(offline, "flowers102")
    assert cells["task"].card.name == "flowers102" and 'photographs of "flowers102"' in cells.said["imports"]
    assert len(cells["task"].classes) == 102 and cells["target"].classifier.out_features == 102
    assert "flowers102 has 1 training images a class, not 20" in cells.said["open"]
    assert cells.largest_figure() < 20


def test_lab1_on_hot_dogs_has_two_classes_and_minds_it_if_there_is_no_mistake(offline):
    cells = lab1(offline, "hotdog")
    assert cells["task"].classes == cells["classes"] == ["hotdog", "not-hotdog"]
    assert not cells["fitted"].correct.all() or "no mistake" in cells.said["worst"]


def test_lab2_on_photographs_of_goldfinches_goes_back_to_the_drawings_where_it_needs_the_painter(offline):
    shorten(offline)
    offline.setenv("COURSE_IMAGES", "goldfinch-photos")
    left_out = re.compile(r"stop|careless|program-outcome|helpers|repaint.*|sisk.*|sure.*|threshold.*|temperature.*")
    untrained = lambda model, loaders, one_pass, loss_of, **_: [loss_of(model, loaders["val"])]
    wanted = lambda cell: not left_out.fullmatch(cell.id)
    cells = Cells("solutions/lab2_goldfinches.ipynb", offline, wanted, train_until_best=untrained)
    drawings = cells["task"]
    assert all(len(losses) == 1 for losses in cells["losses"])
    assert cells.said["cam-agree"].count("True") == 2
    credit = " ".join(text.get_text() for text in cells.figures["cam-figure"][0].texts)
    assert "inaturalist.org/photos" in credit, "photographers stand under their photographs"
    assert drawings.name == "goldfinches" and not any(drawings.test.files)
    assert set(cells["measured"]) == set(drawings.classes)


def test_lab3_on_hot_dogs(offline, tmp_path):
    shorten(offline)
    for name, value in {"COURSE_OWN_IMAGES": "hotdog", "COURSE_BUDGET": "0.05"}.items():
        offline.setenv(name, value)
    offline.chdir(tmp_path)
    slow = re.compile("press-(study|beside)|hand.*|leak-.*|front.*|onnx|verify.*")
    cells = Cells("solutions/lab3_your_own_images.ipynb", offline, lambda cell: not slow.fullmatch(cell.id))
    assert dict(cells["report"].table.files) == {"hotdog": 16, "not-hotdog": 16}, "the published training images"
    assert len(cells["report"].files) == 32
    assert "test pictures have a twin in training" in "".join(cells.said.values())


# Lectures


def lecture(path, monkeypatch, ids, budget, **names):
    """These cells of a lecture, with this budget chosen at its top; trainings stop after a few steps."""
    shorten(monkeypatch)
    monkeypatch.setattr(h, "choose_budget", lambda: budget)
    return Cells(path, monkeypatch, lambda cell: re.fullmatch(ids, cell.id), budget=budget, **names)


@pytest.fixture
def full_size(monkeypatch):
    """Lecture 4 at full size, but for the size."""
    monkeypatch.setattr(flowers102, "SIZE", 32)
    monkeypatch.setattr(flowers102, "SEEDS", 1)
    monkeypatch.setattr(flowers102, "FILE", ROOT / "nothing.json")


def test_lecture4_trains_a_resnet18_on_flowers102_and_shows_it_beside_the_literature(offline, full_size, tmp_path):
    torch.manual_seed(0)
    offline.setenv("TORCH_HOME", str(tmp_path))
    weights = get_model_weights("resnet18").DEFAULT
    keep(tmp_path / "hub/checkpoints", offline, weights, get_model("resnet18").state_dict())
    budget = Budget("full", 1, images="flowers102", imagenet=None)
    cells = lecture("notebooks/appendix/lecture4.ipynb", offline, r"l4-00[56]|l4-108\w|l4-109", budget)
    assert cells["FULL_SIZE"] and cells["networks"] == ["resnet18"]
    live, table = cells["live"], flowers102.beside_literature(cells["live"])
    assert len(live.runs) == 3 and set(live.runs.recipe) == {recipe.name for recipe in flowers102.RECIPES}
    assert set(live.runs.n) == {102} and live.runs["per class"].between(0, 1).all()
    measured = table["measured % (interval)"]
    assert all(re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", text) for text in measured.loc["resnet18"])
    assert set(measured.loc["resnet50"]) == {"not measured"}
    assert "supported" in cells.said["l4-109"], "the question of section 1, on the photographs that were chosen"


def test_without_weights_or_photographs_the_full_size_says_what_is_missing_and_ends(offline, full_size, tmp_path, capsys):
    for place in ("TORCH_HOME", "COURSE_CACHE"):
        offline.setenv(place, str(tmp_path))
    assert flowers102.measured_or_why_not(["resnet18"]) is None
    assert re.search(r"Not measured here: .*flowers102", capsys.readouterr().out)
    fill_cache(tmp_path, "flowers102", train=1, val=1, test=1)
    assert flowers102.measured_or_why_not(["resnet18"]) is None
    assert re.search(r"Not measured here: .*resnet18", capsys.readouterr().out)


def test_lecture2_takes_flowers102_as_its_target(offline):
    ids = "imports|new-layer|outputs|opening|step[123]|old-answers|translate|reuse.*"  # all but the training
    cells = lecture("notebooks/02_anatomy_of_a_transfer.ipynb", offline, ids, Budget("full", 1, images="flowers102"))
    assert cells["target"].classifier.out_features == 102 and len(cells["table"]) == 10
    assert cells.largest_figure() < 20


def test_lecture5_compares_its_sources_on_the_photographs_that_are_named(offline):
    ids = "imports|two-sources-picture|map-guess|map-flowers|probe|scores|outcome"
    cells = lecture("notebooks/05_choosing_a_source.ipynb", offline, ids, Budget("full", 1, images="hotdog"))
    assert [run.task.size for run in cells["runs"].values()] == [128, *5 * [64]] and len(cells["at64"].classes) == 2
