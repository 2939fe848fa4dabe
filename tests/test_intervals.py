"""Intervals of accuracies and differences cover the true value as often as they say, in simulated seeds and images."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit

from helpers.training.intervals import interval, mean_interval, wilson

IMAGES, RUNS, BOTH = 2.0, 0.3, 1.0  # standard deviations of what images, runs and their meeting add, in logits
CASES = 150


def simulated(rng, seeds, n, *levels):
    """Right and wrong answers of recipes of these levels: images differ in difficulty, runs in skill, and in what
    they are good at."""
    base = rng.normal(0, IMAGES, (1, n)) + rng.normal(0, RUNS, (seeds, 1))
    return [rng.random((seeds, n)) < expit(level + base + rng.normal(0, BOTH, (seeds, n))) for level in levels]


def expected(level):
    """The share of right answers over all images and runs of the kind."""
    spread = (IMAGES**2 + RUNS**2 + BOTH**2) ** 0.5
    return expit(level + np.random.default_rng(0).normal(0, spread, 1_000_000)).mean()


@pytest.mark.parametrize("seeds, n", [(5, 40), (5, 400), (2, 20)])
@pytest.mark.parametrize("levels", [(0,), (3,), (6,), (1, 1), (1, 2)], ids=str)
def test_the_interval_of_an_accuracy_and_of_a_difference_covers_the_true_value_in_95_of_100_cases(seeds, n, levels):
    rng, covered = np.random.default_rng([seeds, n, *levels]), 0
    wanted = expected(levels[-1]) - (expected(levels[0]) if len(levels) > 1 else 0)
    for _ in range(CASES):
        one, *other = simulated(rng, seeds, n, *levels)
        mean, low, high = interval(torch.from_numpy(other[0].astype(float) - one if other else one))
        assert other or 0 <= low <= mean <= high <= 1
        covered += low <= wanted <= high
    assert covered >= 0.93 * CASES


def test_more_images_and_more_seeds_narrow_the_interval():
    rng = np.random.default_rng(0)

    def width(seeds, n):
        intervals = [interval(torch.from_numpy(simulated(rng, seeds, n, 1)[0])) for _ in range(20)]
        return np.mean([high - low for _, low, high in intervals])

    assert width(3, 50) > width(10, 50) > width(10, 500) > 0


@pytest.mark.parametrize("right, n", [(0, 5), (5, 5), (1, 1), (7, 20), (399, 400)])
def test_one_seed_gives_wilsons_interval_of_the_images_as_scipy_has_it(right, n):
    expected = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert interval(torch.arange(n)[None] < right) == pytest.approx((right / n, expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_all_right_or_all_wrong_is_no_certainty(seeds):
    expected = stats.binomtest(40, 40).proportion_ci(method="wilson")
    right, wrong = torch.ones(seeds, 40, dtype=torch.bool), torch.zeros(seeds, 40, dtype=torch.bool)
    assert interval(right) == pytest.approx((1, expected.low, 1), abs=1e-6)
    assert interval(wrong) == pytest.approx((0, 0, 1 - expected.low), abs=1e-6)


def test_answers_that_balance_each_other_still_have_an_interval():
    mean, low, high = interval(torch.tensor([[True, False], [False, True]]))
    assert mean == 0.5 and low < 0.4 and high > 0.6


@pytest.mark.parametrize("seeds", [3, 5])
def test_an_interval_of_shares_one_a_seed_stays_within_0_and_1_and_covers_the_true_share(seeds):
    rng, covered = np.random.default_rng(seeds), 0
    for shares in rng.beta(4, 1, (CASES, seeds)):  # around 0.8
        mean, low, high = mean_interval(shares, share=True)
        assert 0 <= low <= mean <= high <= 1 and mean == pytest.approx(shares.mean())
        covered += low <= 0.8 <= high
    assert covered >= 0.93 * CASES
    assert mean_interval([0.1, 0.5, 0.9])[1] < 0 < mean_interval([0.1, 0.5, 0.9], share=True)[1]
