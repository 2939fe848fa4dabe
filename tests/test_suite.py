"""The suite goes on where it stopped, leaves out what it says, and its shipped results hold what the defaults promise."""

from dataclasses import replace

import pytest
import torch
from fits import fitted, invented, short, small_task
from studies import old_classifier, real, real_texts, resuming, suite

from helpers.freezing import freeze
from helpers.sources.backbones import load_backbone
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, SCRATCH, diff
from helpers.training.study import load_study


def quick(monkeypatch, tmp_path):
    """The suite on a task of four goldfinches, with two recipes of few steps, written to `tmp_path`."""
    monkeypatch.setattr(suite, "SHIPPED", tmp_path)
    monkeypatch.setattr(suite, "RECIPES", tuple(short(recipe, name=recipe.name) for recipe in suite.RECIPES[:2]))
    monkeypatch.setattr(suite, "LABELS", (1, 3))
    monkeypatch.setattr(suite, "PLACES", {"garden": [("goldfinches", 32)]})
    monkeypatch.setattr(suite, "task", lambda target, size, labels: replace(small_task(), per_class=labels).draw(0))


def test_it_is_written_after_every_run_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    quick(monkeypatch, tmp_path)
    fitted, run_study = [], resuming.run_study

    def stops(question, cases, seeds, **settings):
        if len(fitted) == 3:
            raise KeyboardInterrupt
        fitted.append((cases[0].conditions["recipe"], cases[0].conditions["per_class"], seeds[0]))
        return run_study(question, cases, seeds, **settings)

    monkeypatch.setattr(resuming, "run_study", stops)
    with pytest.raises(KeyboardInterrupt):
        suite.measure("garden", seeds=2)
    path = tmp_path / "study-suite-garden.json"
    assert len(load_study(path).runs) == 3 and capsys.readouterr().out.count("h left: garden, goldfinches, 32, ") == 3
    monkeypatch.setattr(resuming, "run_study", run_study)
    suite.measure("garden", seeds=2)
    said = capsys.readouterr().out
    assert "1 of 5, about 0.0 h left" in said and "5 of 5" in said
    runs = load_study(path).runs
    assert len(runs) == 8 == len(runs.drop_duplicates(["per_class", "recipe", "seed"]))
    suite.measure("garden", seeds=2)
    assert capsys.readouterr().out == ""


def test_what_is_left_out_is_what_it_says(monkeypatch):
    monkeypatch.setenv("COURSE_PHOTOS", "somewhere")
    plans = {source: suite.plans(source, 5) for source in suite.PLACES}
    assert {of["size"] for of, _ in plans["garden"]} == {64}
    assert {of["recipe"] for of, _ in plans["efficientnet_lite0"] if of["size"] == 224} == {"feature extraction"}
    for source, planned in plans.items():
        scratch = {seed for of, seed in planned if of["recipe"] == "scratch"}
        assert scratch == ({0, 1, 2, 3, 4} if source == "garden" else {0, 1, 2})
    monkeypatch.delenv("COURSE_PHOTOS")
    assert not [of for of, _ in suite.plans("garden", 1) if of["target"] == suite.PHOTOGRAPHS]


@pytest.mark.parametrize("name", real.STUDIES)
def test_a_study_on_photographs_changes_what_its_question_asks_and_nothing_else(name):
    _, cells = real.STUDIES[name]
    recipes = [real.recipe(conditions) for conditions in cells]
    changed = set().union(*(diff(recipes[-1], recipe).keys() for recipe in recipes))
    allowed = {"resolution": set(), "labels": set(), "batchnorm": set(diff(FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE)),
               "interpolation": {"interpolate"},
               "warmup": {"lr", "head_lr", "head_steps", "steps"},
               "depth": set(diff(FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE)), "sources": {"source", "copied", "batchnorm"},
               "splits": set(), "daisy": {"name"}}  # fmt: skip
    assert name == "forgotten" or changed <= allowed[name], changed - allowed[name]
    if name == "warmup":
        assert {recipe.steps + recipe.head_steps for recipe in recipes} == {150}


def test_the_depths_of_the_study_are_cut_points_of_the_network_from_late_to_early():
    model = load_backbone(real.SOURCE, weights=None).model
    trained = [sum(p.numel() for p in freeze(model, upto).parameters() if p.requires_grad) for upto in real.DEPTHS.values()]
    assert trained == sorted(trained) and len(set(trained)) == len(trained)


@pytest.mark.parametrize("name, cells", [(name, cells) for name, (_, cells) in real.STUDIES.items()])
def test_whatever_is_measured_is_told_and_drawn_once_it_is_whole(name, cells, tmp_path):
    plans = [(*of.values(), seed) for of in cells for seed in range(int(min(3, real.most_seeds(of))))]
    study = invented({plan: torch.arange(40) % (3 + i % 5) > 0 for i, plan in enumerate(plans)}, tuple(cells[0]))
    shares = ["daisy called daisy", "roses called daisy", "photographs kept", "drawings kept"]
    shares += [f"{stage} moved" for stage in real_texts.MOVED]
    study.runs = study.runs.assign(seconds=1.0, daisies=8, **dict.fromkeys(shares, 0.5))
    real_texts.draw(name, study, tmp_path)
    assert f"(figures/{next(tmp_path.rglob('*.png')).name})" in real_texts.section(name, study)
    assert real.whole(study, cells) and not real.whole(replace(study, runs=study.runs[1:]), cells)


def test_a_trunk_that_was_left_alone_gives_all_the_old_answers_and_a_trained_one_does_not():
    runs = (fitted(short(recipe)) for recipe in (FEATURE_EXTRACTION, FINE_TUNE_ALL))
    alone, trained = (old_classifier.forgotten(run)["photographs kept"] for run in runs)
    assert trained < alone == 1


@pytest.mark.parametrize("size", [128, 224])
def test_the_split_of_the_studies_is_neither_a_lucky_nor_an_unlucky_one(size):
    study = load_study("real-splits").select(size=size)
    own, means = study.select(split=0).table("size").loc[size], study.runs.groupby("split").accuracy.mean()
    assert len(means) == 10 and own["low"] < 100 * means.mean() < own["high"]


def gains(of, over, seeds=5):
    """Mean gain of a recipe over another, in points, in every cell of the shipped suite where both have so many seeds."""
    runs = suite.suite().runs.pivot_table(
        index=["source", "target", "size", "per_class", "seed"], columns="recipe", values="accuracy"
    )
    if not {of, over} <= set(runs.columns):
        pytest.skip(f"the suite has not measured {of} and {over} yet")
    of_cells = (100 * (runs[of] - runs[over])).dropna().groupby(["source", "target", "size", "per_class"])
    found = of_cells.mean()[of_cells.size() >= seeds]
    if found.empty:
        pytest.skip(f"the suite has not measured {of} and {over} with {seeds} seeds yet")
    return found


def test_with_20_labels_or_more_fine_tuning_after_a_probe_is_nowhere_a_point_below_the_probe_and_above_it_on_the_whole():
    found = gains(PROBE_THEN_FINE_TUNE.name, FEATURE_EXTRACTION.name)
    found = found[found.index.get_level_values("per_class") >= 20]
    assert found.min() >= -1, found[found < -1]
    assert found.mean() > 0


def test_fine_tuning_everything_is_nowhere_below_training_from_scratch():
    found = gains(FINE_TUNE_ALL.name, SCRATCH.name, seeds=2)
    assert found.min() >= 0, found[found < 0]


@pytest.mark.parametrize("labels, least", [(20, 2), (100, 3)])
def test_on_photographs_fine_tuning_the_imagenet_network_gains_over_its_probe(labels, least):
    found = gains(PROBE_THEN_FINE_TUNE.name, FEATURE_EXTRACTION.name)
    cell = ("efficientnet_lite0", suite.PHOTOGRAPHS, 128, labels)
    if cell not in found.index:
        pytest.skip("the suite has not measured it with five seeds yet")
    assert found[cell] >= least
