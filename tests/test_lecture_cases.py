"""The studies of lectures 1, 3 and 4 are fair by construction: their recipes differ in what they say, and in nothing else."""

import pytest
import torch
from studies import labels
from train_sources import PLANS
from train_vit import train_vit

from helpers.images.drawn.garden import render
from helpers.lessons.fine_tuning import studies as tuning
from helpers.lessons.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, SCRATCH
from helpers.lessons.variants import studies as variants
from helpers.sources.backbones import load_backbone
from helpers.training.fitting import fit
from helpers.training.recipes import BATCHNORM, diff


@pytest.mark.parametrize("what", ["head", "fine-tuned"])
def test_the_two_sources_are_compared_with_the_same_recipe_and_the_same_number_of_passes(what):
    recipes = {case.conditions["way"]: case.recipe for case in labels.cases(labels.HEADS | labels.WHOLE, [1], ["flowers"])}
    assert diff(recipes[f"supervised, {what}"], recipes[f"self-supervised, {what}"]).keys() == {"name", "source"}
    simclr, plan = PLANS["garden-simclr"], PLANS["garden"]
    assert simclr.per_class == plan.per_class and 2 * simclr.epochs == plan.epochs  # an epoch of SimCLR passes two views of each


def test_random_features_are_those_of_a_network_that_has_learnt_nothing():
    """Nothing is copied from the source, and the frozen stages stay as they were drawn: two seeds differ there."""
    case = labels.cases({"random, head": labels.HEADS["random, head"]}, [1], ["flowers"])[0]
    recipe = labels.replace(case.recipe, steps=2, views=1)
    one, other = (fit(recipe, case.task, seed=seed).model.conv1.weight for seed in (0, 1))
    learnt = fit(labels.replace(FEATURE_EXTRACTION, steps=2, views=1), case.task, seed=0).model.conv1.weight
    assert not torch.equal(one, other) and not torch.equal(one, learnt)


def test_each_repair_of_the_reversal_changes_one_setting_and_all_of_them_together_what_was_found():
    recipes = variants.reversal_recipes()
    found, repaired = recipes["head, as found"], recipes["head, all fixed"]
    for name, setting in [("lr", "lr"), ("schedule", "schedule"), ("BatchNorm", "batchnorm")]:
        assert diff(found, recipes[f"head, {name} fixed"]).keys() == {"name", setting}
    assert diff(found, repaired).keys() == {"name", "lr", "schedule", "batchnorm"}
    assert diff(FEATURE_EXTRACTION, repaired).keys() == {"name"}
    assert diff(repaired, recipes["head, fixed, not normalised"]).keys() == {"name", "preprocessing"}
    assert diff(recipes["scratch"], recipes["scratch, not normalised"]).keys() == {"name", "preprocessing"}


def test_from_layer4_on_the_recipes_of_the_map_differ_in_nothing_but_where_training_starts():
    for depth in ("layer4", "layer2", "all"):
        assert diff(FINE_TUNE_ALL, variants.depth_recipe(depth)).keys() <= {"name", "upto"}
    assert variants.depth_recipe("scratch") == SCRATCH and variants.depth_recipe("head") == FEATURE_EXTRACTION


def test_with_and_without_warm_up_the_steps_are_equal_in_all():
    at_once, head_first = (case.recipe for case in tuning.warmup_cases({"flowers": [1e-3]}))
    assert at_once.steps + at_once.head_steps == head_first.steps + head_first.head_steps
    assert diff(at_once, head_first).keys() == {"name", "steps", "head_steps"}


def test_each_switch_changes_one_thing_of_the_baseline():
    recipes = {case.conditions["switch"]: case.recipe for case in tuning.switch_cases()}
    changed = {name: diff(recipes["baseline"], recipe).keys() - {"name"} for name, recipe in recipes.items()}
    assert changed.pop("baseline") == set() and changed.pop("head first") == {"steps", "head_steps", "head_lr"}
    assert changed.pop("head first at 10x rate") == {"steps", "head_steps"}  # head_lr is the default
    assert changed.pop("both") == {"steps", "head_steps", "head_times"}
    assert all(len(settings) == 1 for settings in changed.values())


def test_transplants_differ_in_what_is_copied_and_what_is_frozen_alone():
    nothing, *cases = tuning.transplant_cases()
    assert len(cases) == 2 * len(tuning.DEPTHS)
    for case in cases:
        assert case.recipe.upto == (case.recipe.copied if case.conditions["then"] == "frozen" else 0)
        assert diff(nothing.recipe, case.recipe).keys() <= {"weights", "copied", "upto"}


def test_batchnorm_is_compared_with_all_else_equal_and_lora_is_asked_of_the_transformer_alone():
    cases = tuning.batchnorm_cases()
    assert [case.recipe.batchnorm for case in cases] == [*BATCHNORM] * 2
    assert all(diff(cases[0].recipe, case.recipe).keys() <= {"name", "batchnorm", "batch_size"} for case in cases)
    assert [case.conditions["network"] for case in tuning.subset_cases() if case.recipe.only == "lora"] == ["garden-vit"]


def test_the_transformer_has_learnt_the_source_world():
    vit, classes = load_backbone("garden-vit"), torch.arange(0, 800, 4)
    images, _ = render("source", classes, torch.full_like(classes, 3), split="test")
    with torch.no_grad():
        ranks = vit.model.eval()(vit.normalise(images)).argsort(dim=1, descending=True)
    in_first_ten = (ranks[:, :10] == classes[:, None]).any(1).float().mean().item()
    assert in_first_ten > 10 * 10 / 800, f"{in_first_ten:.1%} of the source classes are among the first ten answers"


def test_training_a_transformer_repeats_itself():
    images, classes = torch.randint(0, 256, (80, 3, 64, 64), dtype=torch.uint8), torch.arange(80) % 5
    teacher = load_backbone("garden").model
    one, other = (train_vit(images, classes, teacher, steps=1, seed=3).state_dict() for _ in range(2))
    assert one["heads.head.weight"].shape == (5, 128) and all(torch.equal(one[name], other[name]) for name in one)
