"""Lecture 1's study and what its text concludes from it: a measurement that says something else fails here."""


import pytest
import torch
from project import ROOT
from studies import labels
from train_sources import PLANS

from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, diff
from helpers.training.study import load_study

NOTEBOOK = (ROOT / "notebooks/01_transfer_vs_self_supervised.ipynb").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def study():
    return load_study("labels")


def test_every_way_was_measured_at_every_number_of_labels(study):
    counts = study.runs.groupby(["task", "way", "per_class"]).seed.nunique()
    for task in labels.TASKS:
        for ways, numbers, least in ((labels.HEADS, labels.MANY, 5), (labels.WHOLE, labels.FEW[task], labels.SLOW_SEEDS)):
            for way in ways:
                assert (counts[task, way].loc[list(numbers)] >= least).all(), (task, way)
    assert len(counts) == 2 * 3 * len(labels.MANY) + 3 * sum(map(len, labels.FEW.values()))


def test_the_two_sources_are_compared_with_the_same_recipe_and_the_same_number_of_passes():
    for one, two in (("supervised, head", "self-supervised, head"), ("supervised, fine-tuned", "self-supervised, fine-tuned")):
        recipes = {case.conditions["way"]: case.recipe for case in labels.cases(labels.HEADS | labels.WHOLE, [1], ["flowers"])}
        assert diff(recipes[one], recipes[two]).keys() == {"name", "source"}
    simclr, plan = PLANS["garden-simclr"], PLANS["garden"]
    assert simclr.per_class == plan.per_class and 2 * simclr.epochs == plan.epochs  # an epoch of SimCLR passes two views of each


def test_random_features_are_those_of_a_network_that_has_learnt_nothing():
    """Nothing is copied from the source, and the frozen stages stay as they were drawn: two seeds differ there."""
    case = labels.cases({"random, head": labels.HEADS["random, head"]}, [1], ["flowers"])[0]
    recipe = labels.replace(case.recipe, steps=2, views=1)
    nets = [fit(recipe, case.task, seed=seed).model for seed in (0, 1)]
    learnt = fit(labels.replace(FEATURE_EXTRACTION, steps=2, views=1), case.task, seed=0).model
    assert not torch.equal(nets[0].conv1.weight, nets[1].conv1.weight)
    assert not torch.equal(nets[0].conv1.weight, learnt.conv1.weight)


def differs(study, task, per_class, way, baseline):
    """The sign of a difference whose 95 % interval leaves out zero; 0 where it does not."""
    row = labels.gap(study, task, per_class, way, baseline)
    return 0 if row["supported"] == "no" else 1 if row["points"] > 0 else -1


def test_features_learnt_with_labels_need_the_fewest_labels(study):
    for task in labels.TASKS:
        assert differs(study, task, 5, "supervised, head", "self-supervised, head") == 1
    assert differs(study, "flowers", 5, "supervised, head", "scratch") == 1


def test_frozen_self_supervised_features_are_worth_something_but_cannot_keep_up(study):
    for number in labels.MANY:
        assert differs(study, "flowers", number, "self-supervised, head", "random, head") == 1
    assert differs(study, "flowers", 100, "self-supervised, head", "scratch") == -1


def test_on_goldfinches_frozen_features_fall_behind_scratch(study):
    assert differs(study, "goldfinches", 5, "self-supervised, head", "scratch") == -1
    assert differs(study, "goldfinches", 20, "supervised, head", "scratch") == -1


def test_fine_tuned_the_supervised_source_gains_on_both_tasks_and_the_other_on_flowers(study):
    for task in labels.TASKS:
        assert differs(study, task, 5, "supervised, fine-tuned", "scratch") == 1
    assert differs(study, "flowers", 5, "self-supervised, fine-tuned", "scratch") == 1


def test_with_many_labels_it_matters_less_where_one_starts(study):
    for way in ("supervised, fine-tuned", "self-supervised, fine-tuned"):
        few, many = (labels.gap(study, "flowers", number, way, "scratch")["points"] for number in (5, 100))
        assert many < few / 2


def test_the_figures_show_what_their_descriptions_say(study):
    means = study.table(["task", "way", "per_class"])["accuracy %"]
    flowers, finches = means["flowers"], means["goldfinches"]
    heads, scratch = flowers["self-supervised, head"], flowers["scratch"]
    assert all(flowers["supervised, head"][n] > max(heads[n], scratch.get(n, 0)) for n in labels.MANY)
    assert scratch[1] < heads[1] and scratch[5] < heads[5] < heads[10] and heads[20] < scratch[20]
    assert finches["scratch"][20] > max(finches["supervised, head"][20], finches["self-supervised, head"][20])
    for task, numbers in labels.FEW.items():
        tops = means[task]
        others = ("self-supervised, fine-tuned", "scratch")
        assert all(tops["supervised, fine-tuned"][n] > max(tops[way][n] for way in others) for n in numbers)
    assert flowers["self-supervised, fine-tuned"][5] > scratch[5]
    assert differs(study, "flowers", 100, "self-supervised, fine-tuned", "scratch") == 0
    assert all(differs(study, "goldfinches", n, "self-supervised, fine-tuned", "scratch") < 1 for n in (5, 20))
