"""Lecture 3, the variants: what each trains and costs, how deep to fine-tune."""

from helpers.lessons.variants import imagenet
from helpers.lessons.variants.diagrams import plot_costs, plot_model_view
from helpers.lessons.variants.studies import AS_FOUND, DEPTHS, FIXED, choice_by_validation, depth_cases, reversal_recipes
from helpers.lessons.variants.targets import plot_targets
from helpers.training.costs import kept_for_backward, step_costs

__all__ = [
    "AS_FOUND",
    "DEPTHS",
    "FIXED",
    "choice_by_validation",
    "depth_cases",
    "imagenet",
    "kept_for_backward",
    "plot_costs",
    "plot_model_view",
    "plot_targets",
    "reversal_recipes",
    "step_costs",
]
