"""Lab 1's contest: judged on pictures that no task holds, and that no contestant sees. (Other images: test_switch.py.)"""

import pytest
import torch
from answers import Given, judged
from answers.lab1_flowers import discriminant, flowers, mean_colour, small
from photos import open_small, photos
from scipy import stats

from helpers import open_task, render
from helpers.images.drawn import garden
from helpers.lessons.flowers import contest
from helpers.lessons.flowers.contest import for_practice, last_score
from helpers.training.study import load_study


def judge(answer, task=small):
    return judged("contest", Given(answer, task))[0]


def test_what_a_contestant_gets_holds_no_test_image_and_no_further_training_image():
    task = flowers()
    practice = for_practice(task)
    given = {image.numpy().tobytes() for split in (practice.train, practice.val, practice.test) for image in split.images}
    assert given == {image.numpy().tobytes() for split in (task.train, task.val) for image in split.pixels}
    assert len(practice.pool) == len(practice.train) == 200
    assert len(practice.draw(3).train) == 200


def test_a_folders_test_images_are_not_in_the_storage_that_a_contestant_gets(tmp_path):
    task = open_small(photos(tmp_path / "trees", ash=12, elm=12, oak=12), per_class=4, val=2, test=2)
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


@pytest.mark.parametrize(
    "peek",
    [lambda task: mean_colour(open_task("flowers", per_class=100)), lambda task: garden.render_split("flowers", "test", 1)],
    ids=["opens", "draws"],
)
def test_who_asks_for_more_pictures_gets_none_even_if_they_were_drawn_before(peek):
    open_task("flowers", per_class=100)
    assert judge(peek).finding == "more pictures"


@pytest.mark.parametrize("answer", [mean_colour, lambda task: task.nowhere], ids=["right", "an error"])
def test_after_the_contest_everybody_may_draw_again(answer):
    judge(answer)
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
    rng = torch.Generator().manual_seed(0)
    ours, theirs = torch.rand(2, 300, generator=rng) < 0.8
    expected = stats.ttest_rel(ours.double(), theirs.double()).confidence_interval()
    _, low, high = contest.ahead(ours, theirs[None])
    assert (low, high) == pytest.approx((100 * expected.low, 100 * expected.high))


def test_an_average_over_seeds_that_differ_is_known_less_well_than_over_seeds_that_agree():
    rng = torch.Generator().manual_seed(0)
    ours = torch.rand(500, generator=rng) < 0.8
    agree = (torch.rand(500, generator=rng) < 0.8).expand(4, -1)
    differ = torch.stack([torch.rand(500, generator=rng) < share for share in (0.65, 0.75, 0.85, 0.95)])
    widths = [high - low for _, low, high in (contest.ahead(ours, agree), contest.ahead(ours, differ))]
    assert widths[1] > 1.5 * widths[0]


def test_raw_pixels_into_the_network_are_reported_as_that_and_not_as_an_error_of_torch():
    (verdict,) = judged("accuracy_counted", ("source.normalise(images[rows])", "images[rows]"))
    assert verdict.finding == "pixels not prepared" and "255" in verdict.seen
