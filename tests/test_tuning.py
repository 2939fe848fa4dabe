"""Lecture 4's studies: fair by construction; and its sentences, held against what was measured."""

import pytest
import torch

from helpers.backbones import load_backbone
from helpers.gardenvit import GardenViT, train_vit
from helpers.recipes import BATCHNORM, diff
from helpers.stages import split, stage_names
from helpers.studies import tuning


@pytest.fixture(scope="module")
def vit():
    return load_backbone("garden-vit")


def test_with_and_without_warm_up_the_steps_are_equal_in_all():
    cases = tuning.warmup_cases({"flowers": [1e-3]})
    assert len({case.recipe.steps + case.recipe.head_steps for case in cases}) == 1
    assert diff(cases[0].recipe, cases[1].recipe).keys() == {"name", "steps", "head_steps"}


def test_each_switch_changes_one_thing_of_the_baseline():
    recipes = {case.conditions["switch"]: case.recipe for case in tuning.switch_cases()}
    changed = {name: diff(recipes["baseline"], recipe).keys() - {"name"} for name, recipe in recipes.items()}
    assert changed.pop("baseline") == set() and changed.pop("head first") == {"steps", "head_steps"}
    assert all(len(settings) == 1 for settings in changed.values())


def test_transplants_differ_in_what_is_copied_and_what_is_frozen_alone():
    cases = tuning.transplant_cases()
    assert len(cases) == 1 + 2 * len(tuning.DEPTHS)
    for case in cases[1:]:
        frozen = case.conditions["then"] == "frozen"
        assert case.recipe.upto == (case.recipe.copied if frozen else 0)
        assert diff(cases[0].recipe, case.recipe).keys() <= {"weights", "copied", "upto"}


def test_batchnorm_is_compared_with_all_else_equal():
    cases = tuning.batchnorm_cases()
    assert [case.recipe.batchnorm for case in cases] == [*BATCHNORM] * 2
    assert all(diff(cases[0].recipe, case.recipe).keys() <= {"name", "batchnorm", "batch_size"} for case in cases)


def test_lora_is_asked_of_the_transformer_alone():
    asked = [case.conditions["network"] for case in tuning.subset_cases() if case.recipe.only == "lora"]
    assert asked == ["garden-vit"]


def test_the_transformer_is_torchvisions_and_is_cut_at_each_block(vit):
    names = stage_names(vit.model)
    assert [name for name in names if "encoder_layer_" in name] == [f"encoder.layers.encoder_layer_{i}" for i in range(5)]
    images = torch.rand(2, 3, 64, 64)
    vit.model.eval()
    for place in ("encoder.layers.encoder_layer_2", -1):
        prefix, suffix = split(vit.model, place)
        assert torch.equal(suffix(prefix(images)), vit.model(images))


def test_the_transformer_has_learnt_the_source_world(vit):
    from helpers.garden import render

    labels = torch.arange(0, 800, 4)
    images, _ = render("source", labels, torch.full_like(labels, 3), split="test")
    vit.model.eval()
    with torch.no_grad():
        ranks = vit.model(vit.normalise(images)).argsort(dim=1, descending=True)
    in_first_ten = (ranks[:, :10] == labels[:, None]).any(1).float().mean().item()
    assert in_first_ten > 10 * 10 / 800, f"{in_first_ten:.1%} of the source classes are among the first ten answers"


def test_training_a_transformer_repeats_itself_and_refuses_nothing_silently():
    images, labels = torch.randint(0, 256, (80, 3, 64, 64), dtype=torch.uint8), torch.arange(80) % 5
    teacher = load_backbone("garden").model
    one, other = (train_vit(images, labels, teacher, steps=1, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert isinstance(GardenViT(5), torch.nn.Module) and one["heads.head.weight"].shape == (5, 128)
