"""The suite goes on where it stopped, leaves out what it says, and its shipped results hold what the defaults promise."""

from dataclasses import replace

import pytest
from fits import short, small_task
from studies import suite

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
    fitted, run_study = [], suite.run_study

    def stops(question, cases, seeds, **settings):
        if len(fitted) == 3:
            raise KeyboardInterrupt
        fitted.append((cases[0].conditions["recipe"], cases[0].conditions["per_class"], seeds[0]))
        return run_study(question, cases, seeds, **settings)

    monkeypatch.setattr(suite, "run_study", stops)
    with pytest.raises(KeyboardInterrupt):
        suite.measure("garden", seeds=2)
    path = tmp_path / "study-suite-garden.json"
    assert len(load_study(path).runs) == 3 and capsys.readouterr().out.count("left: garden on goldfinches, 32 px") == 3
    monkeypatch.setattr(suite, "run_study", run_study)
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
    assert not [plan for plan in plans["garden"] if plan[1] != 64]
    assert {plan[3].name for plan in plans["efficientnet_lite0"] if plan[1] == 224} == {"feature extraction"}
    for source, of in plans.items():
        scratch = {plan[4] for plan in of if plan[3].name == "scratch"}
        assert scratch == ({0, 1, 2, 3, 4} if source == "garden" else {0, 1})
    monkeypatch.delenv("COURSE_PHOTOS")
    assert not [plan for plan in suite.plans("garden", 1) if plan[0] == suite.PHOTOGRAPHS]
