"""Lecture 4, fine-tuning well: head first, rates, BatchNorm, parameter-efficient training, Flowers102 at full size."""

from helpers.lessons.fine_tuning import flowers102
from helpers.lessons.fine_tuning.flowers102 import reported
from helpers.lessons.fine_tuning.learning_curves import overfitting
from helpers.lessons.fine_tuning.lr_finder import plot_range_test, range_test
from helpers.lessons.fine_tuning.movement import features_moved, gradient_norms, weights_moved
from helpers.lessons.fine_tuning.studies import AT_ONCE, HEAD_FIRST, SUBSETS, subset_cases
from helpers.training.surgery import added_by, merge_adapters, set_batchnorm, train_only, transplant

__all__ = [
    "AT_ONCE",
    "HEAD_FIRST",
    "SUBSETS",
    "added_by",
    "features_moved",
    "flowers102",
    "gradient_norms",
    "merge_adapters",
    "overfitting",
    "plot_range_test",
    "range_test",
    "reported",
    "set_batchnorm",
    "subset_cases",
    "train_only",
    "transplant",
    "weights_moved",
]
