"""A recipe is a value that cannot be wrong, and two of them can be asked what differs."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from helpers.training.recipes import (
    FEATURE_EXTRACTION,
    FINE_TUNE_ALL,
    FINE_TUNE_LAST,
    PROBE_THEN_FINE_TUNE,
    SCRATCH,
    Recipe,
    diff,
)

SHIPPED = [SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE]
NAN, INFINITY = float("nan"), float("inf")
BAD = {
    "name": ["  ", None, 3],
    "source": ["", "  ", 18],
    "weights": ["", 1, True],
    "upto": ["", None, True, 1, 1.5, -0.5, NAN],
    "head_steps": [-1, 1.0, True, "10", None],
    "head_lr": [0, -1e-3, NAN, INFINITY, "1e-2", True],
    "steps": [0, -1, 10.0, True, "300", None],
    "batch_size": [0, -8, 32.0, False, None],
    "lr": [0, 0.0, -1e-3, NAN, INFINITY, "1e-3", True],
    "decay": [0, -0.5, 1.1, NAN, "1", None],
    "head_times": [0, -10, NAN, "10", None],
    "weight_decay": [-0.1, NAN, INFINITY, "0", None],
    "augment": [1, 0, "no", None],
    "views": [-1, 2.0, True, None],
    "preprocessing": ["", "imagenet", None, True],
    "schedule": ["", "cosine", None, True],
    "batchnorm": ["", "off", None, True],
    "copied": ["", True, 1, 1.5, NAN],
    "gradual": [1, 0, "no", None],
    "patience": [-1, 2.0, True, None],
    "interpolate": [1, 0, "no", None],
    "only": ["", "heads", True, 1],
}
OTHER = {
    "name": "another", "source": "resnet18", "weights": "garden", "upto": "layer4", "head_steps": 7, "head_lr": 0.5,
    "steps": 11, "batch_size": 5, "lr": 0.25, "decay": 0.5, "weight_decay": 0.125, "augment": False, "views": 3,
    "preprocessing": "none", "schedule": "constant", "batchnorm": "live", "copied": "layer2", "gradual": True, "patience": 2,
    "interpolate": True, "only": "bias", "head_times": 10.0,
}  # fmt: skip


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_setting_is_an_error_that_names_it_its_value_and_the_recipe(name, value):
    with pytest.raises(ValueError) as caught:
        Recipe(**{"name": "mine", name: value})
    message = str(caught.value)
    assert f"{name}={value!r}" in message and "must be" in message
    assert name == "name" or "'mine'" in message


def test_every_setting_has_bad_values_in_these_tests():
    assert set(BAD) == set(OTHER) == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"weights": None, "upto": -1}, "'mine' would freeze random weights"),
        ({"weights": None, "upto": 0.5}, "'mine' would freeze random weights"),
        ({"weights": None, "head_steps": 10}, "'mine' would freeze random weights"),
        ({"weights": None, "copied": "layer2"}, "nothing to copy from"),
        ({"views": 4, "augment": False}, "4 views but augment=False"),
        ({"gradual": True, "upto": -1}, "gradual thaws down"),
        ({"gradual": True, "only": "bias"}, "gradual thaws down"),
        ({"gradual": True, "batchnorm": "live"}, "gradual thaws down"),
        ({"interpolate": True}, "needs a trained head to begin with, so set head_steps"),
        ({"lr": None}, "which solves a head .* give it a learning rate"),
        ({"lr": None, "upto": -1}, "which solves a head .* give it a learning rate"),
        ({"lr": None, "upto": -1, "augment": False, "batchnorm": "live"}, "which solves a head .* give it a learning rate"),
    ],
)
def test_settings_that_exclude_one_another_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Recipe("mine", **changes)


@pytest.mark.parametrize("upto", [0, 0.0, 0.5, 1.0, -1, -2, -5, "layer4", "head"])
def test_all_ways_to_name_a_cut_point_are_accepted(upto):
    assert Recipe("mine", upto=upto).upto == upto


def test_a_recipe_cannot_be_changed_but_copied_with_a_change():
    with pytest.raises(FrozenInstanceError):
        FINE_TUNE_ALL.lr = 1
    assert replace(FINE_TUNE_ALL, lr=1).lr == 1
    assert replace(FINE_TUNE_ALL, lr=1) != FINE_TUNE_ALL == replace(FINE_TUNE_ALL)


def test_the_shipped_recipes_are_what_their_names_say():
    assert len({recipe.name for recipe in SHIPPED}) == len(set(SHIPPED)) == 5
    assert SCRATCH.weights is None and all(recipe.weights for recipe in SHIPPED[1:])
    assert [recipe.upto for recipe in SHIPPED] == [0, -1, -2, 0, 0]
    assert [bool(recipe.head_steps) for recipe in SHIPPED] == [False] * 4 + [True]
    assert SCRATCH.steps >= max(recipe.steps for recipe in SHIPPED), "scratch has a fair budget"


@pytest.mark.parametrize("name", OTHER)
def test_diff_names_the_one_setting_that_differs_with_both_values(name):
    base = Recipe("base", views=0, head_steps=1)
    changed = replace(base, **{name: OTHER[name]})
    assert diff(base, changed) == {name: (getattr(base, name), OTHER[name])}
    assert diff(changed, base) == {name: (OTHER[name], getattr(base, name))}


def test_diff_prints_a_line_for_all_that_differs():
    difference = diff(SCRATCH, FINE_TUNE_ALL)
    assert len(str(difference).splitlines()) == len(difference) == 5
    assert "weights    None -> 'DEFAULT'" in str(difference) == repr(difference)
    assert not diff(SCRATCH, replace(SCRATCH)) and str(diff(SCRATCH, SCRATCH)) == "no difference"
    with pytest.raises(TypeError, match="got dict"):
        diff(SCRATCH, {})
