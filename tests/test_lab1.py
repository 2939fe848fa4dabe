"""Lab 1: its contest, and the lab on photographs and with other source models: the same notebook, other lines at its top."""

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import torch
from answers.lab1_flowers import accuracy, discriminant, flowers, mean_colour, opens_more, small
from nbclient import NotebookClient
from PIL import Image
from project import ROOT
from scipy import stats

from helpers import open_task, render
from helpers.images.drawn import garden
from helpers.images.tasks import Files
from helpers.lessons.flowers import contest
from helpers.lessons.flowers.checks import accuracy_counted
from helpers.lessons.flowers.checks import contest as check_contest
from helpers.lessons.flowers.contest import for_practice, last_score
from helpers.notebook.checking import Check
from helpers.training.study import load_study

LAB = ROOT / "solutions/lab1_flowers.ipynb"


def judge(answer, task=small):
    return Check("lab1_flowers", check_contest.function, 20).judge(answer, task())


# The contest


def test_what_a_contestant_gets_holds_no_test_image_and_no_further_training_image():
    task = flowers()
    practice = for_practice(task)
    given = {image.numpy().tobytes() for split in (practice.train, practice.val, practice.test) for image in split.images}
    assert given == {image.numpy().tobytes() for split in (task.train, task.val) for image in split.pixels}
    assert len(practice.pool) == len(practice.train) == 200
    assert len(practice.draw(3).train) == 200


def test_a_folders_test_images_are_not_in_the_storage_that_a_contestant_gets(tmp_path):
    task = open_task(folder(tmp_path, 12), per_class=4, size=32, val=2, test=2, files=Files(tmp_path / "cache"))
    practice = for_practice(task)
    assert len(task.train.images) == 36, "the splits of a folder share one tensor"
    assert len(practice.train.images) == 12 and len(practice.val.images) == 6
    assert not {*practice.train.files, *practice.val.files, *practice.test.files} & {*task.test.files}


def test_no_task_has_the_pictures_of_the_contest():
    judged = {image.numpy().tobytes() for image in contest.held_out("flowers", 64).images}
    assert len(judged) == 1000
    for split in (flowers().pool, flowers().val, flowers().test):
        assert not judged & {image.numpy().tobytes() for image in split.images}


def test_shipped_baselines_were_judged_on_the_pictures_of_the_contest():
    study = load_study("contest")
    assert set(study.runs.n) == {len(contest.held_out("flowers", 64))}
    assert study.runs.seed.nunique() == 5
    assert contest.baselines(flowers()).keys() == set(study.runs.recipe) >= {"scratch", "feature extraction"}


@pytest.mark.parametrize("peek", [opens_more, lambda task: garden.render_split("flowers", "test", 1)], ids=["opens", "draws"])
def test_who_asks_for_more_pictures_gets_none_even_if_they_were_drawn_before(peek):
    open_task("flowers", per_class=100)
    verdict = judge(peek)
    assert verdict.finding == "more pictures"
    assert len(render("flowers", [0], [0])[0]) == 1, "afterwards everybody may draw again"


def test_an_error_in_a_contestants_code_leaves_drawing_as_it_was():
    verdict = judge(lambda task: task.nowhere)
    assert "nowhere" in verdict.seen
    assert len(render("flowers", [0], [0])[0]) == 1


def test_a_second_look_at_the_same_pictures_is_called_one():
    contest._LOOKS.clear()
    assert "look" not in judge(discriminant).note
    assert "look 2" in judge(discriminant).note
    assert last_score().looks == 2


def test_the_score_of_a_weak_classifier_is_shown_as_behind():
    verdict = judge(mean_colour, flowers)
    assert verdict.finding == "behind the plain recipe"
    paired = last_score().paired
    assert paired.loc["yours - feature extraction", "high"] < 0 < paired.loc["yours - feature extraction", "low"] + 100
    assert last_score().table.loc["yours", "n"] == 1000


def test_without_a_contest_there_is_no_score(monkeypatch):
    monkeypatch.setattr(contest, "_LAST", [])
    with pytest.raises(ValueError, match="check of the contest"):
        last_score()


def test_against_one_network_the_interval_is_that_of_a_paired_t_test():
    dice = torch.Generator().manual_seed(0)
    ours, theirs = torch.rand(2, 300, generator=dice) < 0.8
    expected = stats.ttest_rel(ours.double(), theirs.double()).confidence_interval()
    _, low, high = contest.ahead(ours, theirs[None])
    assert (low, high) == pytest.approx((100 * expected.low, 100 * expected.high))


def test_an_average_over_seeds_that_differ_is_known_less_well_than_over_seeds_that_agree():
    dice = torch.Generator().manual_seed(0)
    ours = torch.rand(500, generator=dice) < 0.8
    agree = (torch.rand(500, generator=dice) < 0.8).expand(4, -1)
    differ = torch.stack([torch.rand(500, generator=dice) < share for share in (0.65, 0.75, 0.85, 0.95)])
    widths = [high - low for _, low, high in (contest.ahead(ours, agree), contest.ahead(ours, differ))]
    assert widths[1] > 1.5 * widths[0]


def test_raw_pixels_into_the_network_are_named_as_that_and_not_as_an_error_of_torch():
    verdict = Check("lab1_flowers", accuracy_counted.function, 20).judge(accuracy(prepare=lambda images: images))
    assert verdict.finding == "pixels not prepared" and "255" in verdict.seen


# The lab on other images

# The cells that are the same whatever images and source it has: the notebook itself is run by another test.
ELSEWHERE = re.compile(
    r"(head|freeze|optimizer|step|accuracy|helped|pair|paired|worst-pair)-check|shipped|paired-run|seeds|quiz-.*|tally"
)


def folder(path, count, size=80):
    """Goldfinches of three species in folders: their names are neither the course's order nor its flowers."""
    for label, name in enumerate(["American", "European", "Lawrence's"]):
        (path / name).mkdir(exist_ok=True)
        images = render("goldfinches", [label] * count, range(count), size=size)[0]
        for number, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path / name / f"{number}.png")
    return path


def run(monkeypatch, **settings) -> dict[str, str]:
    """The lab's outputs, cell by cell, when it is run with these environment variables."""
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(LAB, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code" and not ELSEWHERE.fullmatch(cell.id)]
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(LAB.parent)}}).execute()
    texts = {}
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        assert not any(output.get("name") == "stderr" for output in outputs), (cell.id, outputs)
        texts[cell.id] = "\n".join(str(o.get("text") or o["data"].get("text/plain", "")) for o in outputs)
    assert "the same tensors: True" in texts["agree"]
    assert "the same answers after reloading: True" in texts["save"]
    return texts


def test_lab1_runs_on_photographs_with_imagenet_weights(monkeypatch, tmp_path):
    photographs = os.environ.get("COURSE_PHOTOS")
    if not photographs:
        pytest.skip("COURSE_PHOTOS names no folder of class folders with photographs")
    from torchvision.models import get_model_weights

    weights = get_model_weights("squeezenet1_0")["DEFAULT"]
    if not os.path.exists(os.path.join(torch.hub.get_dir(), "checkpoints", os.path.basename(weights.url))):
        pytest.skip("the ImageNet weights of squeezenet1_0 are not in torch's cache (TORCH_HOME)")
    for kind in sorted(Path(photographs).iterdir())[:3]:
        (tmp_path / kind.name).mkdir()
        for file in sorted(kind.iterdir())[:34]:
            shutil.copy(file, tmp_path / kind.name)
    texts = run(monkeypatch, COURSE_IMAGES=tmp_path, COURSE_SOURCE="squeezenet1_0", COURSE_BUDGET=0.05)
    probed = float(re.search(r"feature extraction\s+([\d.]+)", texts["run"])[1])
    assert probed > 55, f"a probe of ImageNet features names only {probed} % of three kinds of flowers (chance: 33)"


def test_lab1_runs_on_a_folder_of_ones_own_with_the_embedded_source(monkeypatch, tmp_path):
    texts = run(monkeypatch, COURSE_IMAGES=folder(tmp_path, 34), COURSE_BUDGET=0.05)
    assert re.search(r"(American|European|Lawrence's)\s+[\d.]+%", texts["new"])
    assert "yours - feature extraction" in texts["contest-figure"]
