"""Lab 1: what its solution found, and its contest, judged on pictures that no task holds and that no contestant sees.

(Other images: test_switch.py. Wrong answers: tests/answers/lab1_flowers.py.)
"""

import re
import time

import pytest
import torch
from answers import Given, judged
from answers.lab1_flowers import DIFFER, discriminant, one_each
from project import ROOT, number, outcome

from helpers import open_task, render
from helpers.images.drawn import garden
from helpers.lessons.flowers import contest
from helpers.lessons.flowers.contest import for_practice, last_score
from helpers.training.study import load_study


def judge(answer):
    return judged("contest", answer)[0]


@pytest.fixture(autouse=True)
def session(monkeypatch):
    """A session in which nobody has looked at the contest's pictures."""
    monkeypatch.setattr(contest, "_LAST", [])


def birds():
    return open_task("goldfinches", per_class=5)


def test_what_a_contestant_gets_holds_no_test_image_and_no_further_training_image():
    task = birds()
    practice = for_practice(task.size)
    given = {image.numpy().tobytes() for split in (practice.train, practice.val, practice.test) for image in split.images}
    assert given == {image.numpy().tobytes() for split in (task.train, task.val) for image in split.pixels}
    assert len(practice.pool) == len(practice.train) == 20
    assert len(practice.draw(3).train) == 20


def test_no_task_has_the_pictures_of_the_contest():
    judged = {image.numpy().tobytes() for image in contest.held_out(64).images}
    assert len(judged) == 1000
    for split in (birds().pool, birds().val, birds().test):
        assert not judged & {image.numpy().tobytes() for image in split.images}


def test_at_another_size_the_contest_has_the_same_birds():
    large, small = (contest.held_out(size).images[::50].float() for size in (128, 64))
    apart = torch.nn.functional.avg_pool2d(large, 2) - small
    assert apart.abs().mean() < 0.1 * (small - small.roll(1, 0)).abs().mean()


@pytest.mark.parametrize(
    "check, finding, answer",
    [
        ("transforms_made", "other flips", ("RandomHorizontalFlip", "RandomVerticalFlip")),
        ("transforms_made", "another test view", ("transforms.Resize(size), ", "")),
        ("folders_opened", "classes shifted", ("train.classes == val.classes == test", "train.classes == test")),
        ("folders_opened", "classes shifted", (DIFFER, "if not len(train.classes) == len(val.classes) == len(test.classes):")),
    ],
)
def test_a_check_finds_its_mistake_in_another_form_too(check, finding, answer):
    assert judged(check, answer)[0].finding == finding


def test_ten_shipped_strategies_were_judged_on_these_pictures_and_spread_by_29_points():
    study = load_study("contest")
    assert set(study.runs.n) == {len(contest.held_out(64))}
    assert study.runs.groupby("strategy").seed.nunique().eq(5).all() and study.runs.strategy.nunique() == 10
    assert contest.baselines().keys() == set(study.runs.strategy) >= {"scratch", "feature extraction"}
    table = study.table("strategy").sort_values("accuracy %")
    assert round(table["accuracy %"].iloc[-1] - table["accuracy %"].iloc[0]) == 29
    assert study.paired("strategy", "feature extraction").loc["fine-tune all", "low"] > 5


def test_the_solution_found_what_the_lab_says():
    lab = ROOT / "solutions/lab1_flowers.ipynb"
    assert all("largest difference between two tensors: 0.0\n" in outcome(lab, cell) for cell in ("agree", "by-hand"))
    first, second = (re.findall(r"accuracy ([\d.]+)%", outcome(lab, cell)) for cell in ("phase1", "phase2"))
    assert max(map(float, first)) < min(map(float, second)), "the last convolution helps on the validation pictures"
    assert number(lab, "paired-run", r"points ahead of scratch \(") > 10


def test_the_leaderboard_line_is_one_line_with_score_interval_seconds_looks_and_a_fingerprint_of_the_answers():
    lines = []
    for answer in (discriminant, discriminant, one_each):
        judge(answer)
        lines.append(last_score().line)
    score = r"NAME \| \d+\.\d% \(\d+\.\d% to \d+\.\d%\) of 1000 \| goldfinches, 5 labels a class \| \d+ s"
    wanted = [rf"{score} \| look {look} \| [0-9a-f]{{6}}" for look in (1, 2, 3)]
    assert all(re.fullmatch(one, line) for one, line in zip(wanted, lines, strict=True)), lines
    marks = [line.rpartition(" ")[2] for line in lines]
    assert marks[0] == marks[1] != marks[2]


def test_a_classifier_is_told_from_one_that_saw_the_validation_pictures_in_training():
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(480, 4, generator=rng), torch.arange(480) % 4
    assert abs(contest.surer(logits[:80], labels[:80], logits[80:], labels[80:])) < 2.5
    known = logits[:80] + 2 * torch.nn.functional.one_hot(labels[:80], 4)
    assert contest.surer(known, labels[:80], logits[80:], labels[80:]) > contest.SURER
    assert judge(discriminant).finding == "", "who chooses nothing by them is not surer of them"


@pytest.mark.parametrize(
    "peek",
    [lambda task: one_each(open_task("flowers", per_class=100)), lambda task: garden.render_split("flowers", "test", 1)],
    ids=["opens", "draws"],
)
def test_who_asks_for_more_pictures_gets_none_even_if_they_were_drawn_before(peek):
    open_task("flowers", per_class=100)
    assert judge(peek).finding == "more pictures"


@pytest.mark.parametrize("answer", [one_each, lambda task: task.nowhere], ids=["right", "an error"])
def test_after_the_contest_everybody_may_draw_again(answer):
    judge(answer)
    assert len(render("flowers", [0], [0])[0]) == 1


def test_looks_at_the_same_pictures_are_counted_and_a_second_one_is_called_one():
    assert judge(discriminant).note.endswith("Look 1 at these pictures.")
    assert "Look 2 at these pictures. If you choose by" in judge(discriminant).note
    assert last_score().looks == 2


def test_the_score_of_a_weak_classifier_is_shown_as_behind():
    verdict = judge(one_each)
    assert verdict.finding == "behind the plain recipe"
    paired = last_score().paired
    assert paired.loc["feature extraction", "high"] < 0 < paired.loc["feature extraction", "low"] + 100
    assert last_score().table.loc["yours", "n"] == 1000


def test_on_a_slower_computer_the_limit_is_longer_by_what_a_few_steps_take_there_and_at_most_four_times(monkeypatch):
    def half_a_second(task):
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
        return one_each(task)

    for steps_take, wanted in {1e9: "too slow", 1e-9: "behind the plain recipe"}.items():  # once, and four times as long
        monkeypatch.setattr(contest, "_STEPS_TAKE", steps_take)
        contest.pace.cache_clear()
        assert judge(Given(half_a_second, minutes=0.3 / 60)).finding == wanted
    contest.pace.cache_clear()


def test_without_a_contest_there_is_no_score():
    with pytest.raises(ValueError, match="check of the contest"):
        last_score()
