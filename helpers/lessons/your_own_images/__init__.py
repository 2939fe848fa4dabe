"""Lab 3, your own images: pictures from the camera or a phone, leaks between parts, and the classifier taken elsewhere."""

from helpers.images.decoding import image_extensions
from helpers.images.published import image_folder
from helpers.lessons.your_own_images.exporting import OnnxClassifier, compare_logits, export_onnx, missing_for_onnx
from helpers.lessons.your_own_images.leakage import leak_gaps, leak_study
from helpers.lessons.your_own_images.presses import fresh_presses, recorded_or_drawn
from helpers.lessons.your_own_images.snapshots import write_hot_dogs

__all__ = [
    "OnnxClassifier",
    "compare_logits",
    "export_onnx",
    "fresh_presses",
    "image_extensions",
    "image_folder",
    "leak_gaps",
    "leak_study",
    "missing_for_onnx",
    "recorded_or_drawn",
    "write_hot_dogs",
]
