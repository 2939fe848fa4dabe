"""95% intervals of shares, means and paired differences."""

import math

import torch
from scipy import stats


def wilson(share: float, n: float, z: float = 1.959964) -> tuple[float, float]:
    """The interval of a share of n, within 0..1; of 95%, unless another quantile z is given. Source: Wilson, 1927."""
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


def interval(values: torch.Tensor) -> tuple[float, float, float]:
    """Mean and 95% interval of values (seeds, n), a row a run, a column a test image: bool for right or wrong, or
    numbers for differences.

    Both are samples: another seed, and other test images, would have given another mean. The variances of the two
    means add up (the interaction is counted twice, so the interval errs on the wide side; Owen, The pigeonhole
    bootstrap, 2007); Student's t for the number of seeds. A share gets Wilson's interval for as many independent
    answers as would leave that variance, so that it stays within 0..1 and is no point when all answers are right.
    With one seed the interval is for the images alone.
    """
    shares, values = values.dtype == torch.bool, values.double()
    seeds, n = values.shape
    mean = values.mean().item()
    if shares and (seeds == 1 or mean in (0.0, 1.0)):
        return mean, *wilson(mean, n)
    between_images = values.mean(0).var().item() / n if n > 1 else 0.0
    between_seeds = values.mean(1).var().item() / seeds if seeds > 1 else 0.0
    variance = between_images + between_seeds
    t = stats.t.ppf(0.975, max(seeds - 1 if seeds > 1 else n - 1, 1))
    if shares:
        return mean, *wilson(mean, mean * (1 - mean) / variance if variance else n, t)
    return mean, mean - t * variance**0.5, mean + t * variance**0.5


def mean_interval(values, share: bool = False) -> tuple[float, float, float]:
    """Mean and 95% interval (Student's t) of one number a seed; without an interval (nan) for a single seed.

    share: the numbers are shares, 0..1, and so is their interval: Wilson's, for as many independent answers as would
    leave their variance (as in `interval`), where Student's could reach below 0 or above 1.
    """
    values = torch.as_tensor(list(values), dtype=torch.float64)
    if len(values) == 1:
        return values.item(), math.nan, math.nan
    mean, low, high = interval(values[:, None])
    if share and low < high:
        answers = mean * (1 - mean) * len(values) / values.var().item()
        return mean, *wilson(mean, answers, stats.t.ppf(0.975, len(values) - 1))
    return mean, low, high


def paired_difference(one: torch.Tensor, other: torch.Tensor, scale: float = 100) -> dict:
    """How far `one` is above `other`, both (seeds, n) answers or (seeds,) numbers of the same seeds and images.

    A row of a table: points (the mean difference times `scale`), its 95% interval low to high, seeds, and "supported":
    "yes" if the interval excludes zero. One seed supports nothing, because another might have given another difference.
    """
    differences = one.double() - other.double()
    mean, low, high = interval(differences) if differences.ndim == 2 else mean_interval(differences)
    supported = "yes" if len(differences) > 1 and (low > 0 or high < 0) else "no"
    return {"points": scale * mean, "low": scale * low, "high": scale * high, "seeds": len(differences), "supported": supported}
