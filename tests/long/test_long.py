"""What takes too long for every run: `make test-long` runs these, with more of what the usual tests do once or twice."""

import random

import pytest
from fits import fitted, small_task
from hostile import corpus
from photos import photos
from test_hostile_files import damaged, readable
from test_resuming import RECIPES, kill, same

from helpers.training.fitting import fit


@pytest.mark.parametrize("seed", range(50))
def test_a_training_that_is_killed_at_a_random_moment_goes_on_and_is_the_same_bitwise(tmp_path, seed):
    name = [*RECIPES][seed % len(RECIPES)]
    for again in range(random.Random(seed).randrange(1, 4)):
        kill(tmp_path, name, 100 * seed + again)
    assert same(fit(RECIPES[name], small_task(), checkpoint=tmp_path), fitted(RECIPES[name]))


@pytest.mark.parametrize("seed", range(1, 11))
def test_a_thousand_files_are_pictures_or_errors_that_name_them(tmp_path, seed):
    files = corpus(1000, seed)
    assert 200 < len(readable(photos(tmp_path, b=1) / "b", files)) < 900


@pytest.mark.parametrize("kind", ["zip", "csv"])
def test_a_thousand_damaged_zips_and_tables_are_opened_or_refused_by_name(tmp_path, kind):
    assert 0 < damaged(tmp_path, kind, 1000, seed=1) < 1000
