"""Lecture 2, the anatomy of a transfer: the four steps by hand, "frozen" layers that drift, features of other tasks."""

from helpers.lessons.anatomy.drift import batchnorm_drift, explained
from helpers.lessons.anatomy.stage_table import plot_parameters, take_apart
from helpers.lessons.anatomy.studies import extractor_cases
from helpers.lessons.studies import study_of
from helpers.training.steps import fit_head
from helpers.training.surgery import reestimate

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
