"""Lab 2, goldfinches: where a network looks, what one field mark is worth, how sure it may be."""

from helpers.images.drawn.garden import field_marks, render_split
from helpers.lessons.goldfinches.calibration import confidence, plot_confidence, plot_reliability
from helpers.lessons.goldfinches.fieldmarks import bird_parts, marks_between, repaint
from helpers.lessons.goldfinches.saliency import class_map, enlarge, plot_class_maps
from helpers.lessons.goldfinches.studies import recipe

__all__ = [
    "bird_parts",
    "class_map",
    "confidence",
    "enlarge",
    "field_marks",
    "marks_between",
    "plot_class_maps",
    "plot_confidence",
    "plot_reliability",
    "recipe",
    "render_split",
    "repaint",
]
