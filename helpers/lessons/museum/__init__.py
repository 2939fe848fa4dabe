"""Lab 4, the bug museum: what its rooms share."""

from helpers.lessons.museum.rooms import (
    batches,
    bill,
    bills,
    features_at,
    points_lost,
    predict,
    probed,
    small_bills,
    what_changed,
)
from helpers.training.steps import fit_head

__all__ = [
    "batches",
    "bill",
    "bills",
    "features_at",
    "fit_head",
    "points_lost",
    "predict",
    "probed",
    "small_bills",
    "what_changed",
]
