"""Lab 2, goldfinches: where a network looks, what one field mark is worth, how sure it may be."""

from helpers.images.drawn.garden import field_marks, render_split
from helpers.lessons.goldfinches.calibration import (
    calibration_error,
    confidence,
    known_from_unknown,
    plot_confidence,
    sure,
)
from helpers.lessons.goldfinches.fieldmarks import bird_parts, marks_between, repaint
from helpers.lessons.goldfinches.saliency import class_map, enlarge, plot_class_maps

__all__ = [
    "bird_parts",
    "calibration_error",
    "class_map",
    "confidence",
    "enlarge",
    "field_marks",
    "known_from_unknown",
    "marks_between",
    "plot_class_maps",
    "plot_confidence",
    "render_split",
    "repaint",
    "sure",
]
