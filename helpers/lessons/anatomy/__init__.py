"""Lecture 2, the anatomy of a transfer: the four steps by hand, "frozen" layers that drift, features of other tasks."""

from helpers.lessons.anatomy.studies import extractor_cases
from helpers.lessons.anatomy.surgery import batchnorm_drift, explained, fit_head, plot_parameters, study_of, take_apart
from helpers.training.batchnorm import reestimate

__all__ = [
    "batchnorm_drift",
    "explained",
    "extractor_cases",
    "fit_head",
    "plot_parameters",
    "reestimate",
    "study_of",
    "take_apart",
]
