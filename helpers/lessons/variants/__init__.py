"""Lecture 3, the variants: what each trains and costs, how deep to fine-tune."""

from helpers.lessons.variants import imagenet
from helpers.lessons.variants.depths import depth_study, plot_depths
from helpers.lessons.variants.diagrams import plot_costs, plot_model_view
from helpers.lessons.variants.studies import AS_FOUND, DEPTHS, FIXED, choice_by_validation, depth_cases, reversal_recipes
from helpers.training.costs import kept_for_backward, step_costs

__all__ = [
    "AS_FOUND",
    "DEPTHS",
    "FIXED",
    "choice_by_validation",
    "depth_cases",
    "depth_study",
    "imagenet",
    "kept_for_backward",
    "plot_costs",
    "plot_depths",
    "plot_model_view",
    "reversal_recipes",
    "step_costs",
]
