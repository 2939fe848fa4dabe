"""Lecture 5, choosing a source: scores of transferability, the zoo of ImageNet models, a decision table."""

from helpers.lessons.choosing.deciding import decision_table, first_try
from helpers.lessons.choosing.studies import against_none, rank_correlation, scores
from helpers.lessons.choosing.transferability import linear_probe, logme, source_features
from helpers.lessons.choosing.zoo import best_within, plot_models, pretrained_models
from helpers.training.study import Case

__all__ = [
    "Case",
    "against_none",
    "best_within",
    "decision_table",
    "first_try",
    "linear_probe",
    "logme",
    "plot_models",
    "pretrained_models",
    "rank_correlation",
    "scores",
    "source_features",
]
