"""ImageNet weights on real photographs: how settings were chosen, what the shipped study holds, and that it can be run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from project import ROOT
from studies import imagenet

from helpers import diff, load_study, render
from helpers.lessons import variants
from helpers.lessons.variants.imagenet import SOURCE

WEIGHTS = Path(torch.hub.get_dir(), "checkpoints", "squeezenet1_0-b66bff10.pth")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of 16 drawn pictures as files."""
    path = tmp_path_factory.mktemp("drawn")
    for label, name in enumerate(("round", "square")):
        (path / name).mkdir()
        for number, pixels in enumerate(render("source", [label] * 16, range(16))[0]):
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path / name / f"{number}.png")
    return str(path)


def test_study_has_every_recipe_at_every_number_of_labels_over_five_seeds_on_the_same_test_images():
    study = load_study("imagenet")
    runs = study.runs.groupby(["per_class", "recipe"]).seed.apply(sorted)
    assert set(runs.index) == {(number, name) for number in imagenet.LABELS for name in imagenet.RECIPES}
    assert all(seeds == [0, 1, 2, 3, 4] for seeds in runs)
    assert study.runs.n.nunique() == 1


def test_rates_are_the_best_by_validation_and_of_a_draw_that_the_study_does_not_use():
    trials, study = load_study("imagenet-rates"), load_study("imagenet")
    assert not set(trials.runs.seed) & set(study.runs.seed)
    for name, rate in imagenet.best_rates(trials).items():
        mine = trials.runs[trials.runs.recipe == name]
        last = {row.lr: row.history[-1]["val_accuracy"] for row in mine.itertuples()}
        assert last[rate] == max(last.values())
        assert sorted(last) == sorted(imagenet.TRIED[name])


def test_changed_recipes_ran_on_the_seeds_of_the_study_and_differ_in_what_their_names_say():
    changed, study = load_study("imagenet-changed"), load_study("imagenet")
    assert set(changed.runs.seed) <= set(study.runs.seed) and set(changed.runs.recipe) == set(imagenet.CHANGED)
    for name, (of, settings, _) in imagenet.CHANGED.items():
        assert name.startswith(of) and set(settings) <= set(diff(imagenet.RECIPES[of], replace(imagenet.RECIPES[of], **settings)))


def test_the_rate_is_all_that_is_tuned_and_both_ways_to_fine_tune_have_the_same():
    rates = {"scratch": 1e-3, "probe": 2e-3, "fine-tune all": 3e-3}
    tuned = {name: imagenet.tuned(name, rates) for name in imagenet.RECIPES}
    assert all(set(diff(tuned[name], recipe)) <= {"lr", "head_lr"} for name, recipe in imagenet.RECIPES.items())
    assert tuned["probe, then fine-tune"].lr == tuned["fine-tune all"].lr == 3e-3
    assert tuned["probe, then fine-tune"].head_lr == tuned["probe"].lr == 2e-3


def test_test_images_are_the_same_whatever_is_set_aside_to_choose_settings_with(folder):
    few, many = (imagenet.photographs(folder, 2, val).test for val in (2, 6))
    assert torch.equal(few.pixels, many.pixels) and len(few) == 8


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"torchvision's weights of {SOURCE} are not on this machine")
def test_the_measurement_runs_from_choosing_rates_to_saved_files(folder, tmp_path, monkeypatch):
    for name, value in {"SHIPPED": tmp_path, "LABELS": (2,), "TRIAL_LABELS": 2, "TRIAL_VAL": 4, "VAL": 4}.items():
        monkeypatch.setattr(imagenet, name, value)
    quick = {"steps": 2, "batch_size": 4}
    monkeypatch.setattr(imagenet, "TRIED", dict.fromkeys(imagenet.TRIED, (1e-05,)))
    recipes = {name: replace(recipe, head_steps=min(1, recipe.head_steps), **quick) for name, recipe in imagenet.RECIPES.items()}
    for module in (imagenet, variants.imagenet):
        monkeypatch.setattr(module, "RECIPES", recipes)
    monkeypatch.setattr(imagenet, "CHANGED", {"fine-tune all, 3 steps": ("fine-tune all", {"steps": 3}, (2,))})
    monkeypatch.setenv("COURSE_PHOTOS", folder)
    imagenet.run(seeds=1)
    rows = {name: len(load_study(tmp_path / f"study-imagenet{name}.json").runs) for name in ("", "-rates", "-changed")}
    assert rows == {"": 4, "-rates": 3, "-changed": 1}


def test_without_photographs_it_says_so_and_measures_nothing(monkeypatch, capsys):
    monkeypatch.delenv("COURSE_PHOTOS", raising=False)
    imagenet.run(seeds=1)
    assert "left out, COURSE_PHOTOS" in capsys.readouterr().out


def test_the_page_shows_the_figure_with_its_numbers_in_words():
    page = (ROOT / "docs/photographs.md").read_text(encoding="utf-8")
    assert f"![{imagenet.alt()}](photographs.png)" in page
    assert (ROOT / "docs/photographs.png").stat().st_size < 200_000
