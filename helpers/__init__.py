"""Helpers of the transfer learning course. Everything is imported from here: `from helpers import freeze, open_task`.

    the model     stage_names, split       the ordered stages of any classifier, and the cut at one of them
                  find_head, swap_head     its output layer
                  freeze, parameter_groups, Thaw     what trains, how fast, and from when on
                  summary                  what each stage holds and costs
                  save_trained, load_trained         keep only what was trained
                  load_backbone, Backbone  source models by name, with their preprocessing: the course's own, torchvision's,
                                           timm's, Hugging Face's, a file
    the images    render, render_split, class_names, field_marks     the embedded images, drawn from code
                  describe, Card           the tasks that have a name: source, licence, size, splits; fetches nothing
                  open_task, Task, read_image, augment               a task by name or folder
                  collect, read_manifest   a new set of goldfinch photographs from iNaturalist; a frozen one
                  inspect_images, image_folder, write_hot_dogs       a folder or zip of your own; an example of one
                  cache_folder                                       where all that is fetched or decoded is kept
    the training  Recipe, SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, diff
                  fit, compare, load_comparison, Classifier, load_classifier
                  Case, run_study, join_studies, load_study          many fits in one table, live or shipped
                  reported                                           what others report, with its source
                  class_map, repaint, bird_parts           where a network looks, and what one field mark is worth to it
                  confidence, sure, known_from_unknown, calibration_error, fit_temperature     how sure it may be
                  export_onnx, OnnxClassifier, show_uploader         take it elsewhere; try it on a picture
    the teaching  show, plot_images, plot_split, plot_history, plot_confusion, hardest, plot_mistakes, plot_comparisons
                  plot_lines, plot_map, plot_differences             figures of studies
                  choose_budget, beside, quiz                        quick or full; a guess beside the outcome; questions
                  explore, draw_explorer, Setting, try_setting       the freeze explorer, with widgets and without
                  check                    a lab's answers: passed, or what was seen, and a hint

The arrows run one way: teaching -> training -> images, model.
"""

from importlib import import_module

_HOME = {
    "stages": ["stage_names", "split"],
    "heads": ["find_head", "swap_head"],
    "freezing": ["freeze", "parameter_groups"],
    "thawing": ["Thaw"],
    "ledger": ["summary"],
    "saving": ["save_trained", "load_trained"],
    "backbones": ["load_backbone", "Backbone", "shipped_sources"],
    "gardennet": ["GardenNet"],
    "garden": ["render", "render_split", "class_names", "field_marks"],
    "decoding": ["read_image", "open_image", "image_extensions"],
    "catalog": ["describe", "Card"],
    "tasks": ["open_task", "Task", "Split"],
    "augmentation": ["augment"],
    "collecting": ["collect"],
    "manifests": ["read_manifest"],
    "pretext": ["rotate", "nt_xent", "views", "train_rotation", "train_simclr"],
    "source": ["save_source"],
    "recipes": [
        "Recipe",
        "SCRATCH",
        "FEATURE_EXTRACTION",
        "FINE_TUNE_LAST",
        "FINE_TUNE_ALL",
        "PROBE_THEN_FINE_TUNE",
        "diff",
    ],
    "training": ["fit", "Fit"],
    "results": ["compare", "Comparison", "load_comparison"],
    "study": ["Case", "Study", "run_study", "join_studies", "load_study"],
    "literature": ["reported"],
    "classifier": ["Classifier", "load_classifier"],
    "plots": [
        "show",
        "plot_images",
        "plot_split",
        "plot_history",
        "plot_confusion",
        "plot_mistakes",
        "plot_comparisons",
    ],
    "confusions": ["hardest"],
    "charts": ["plot_lines", "plot_map", "plot_differences"],
    "anatomy": ["take_apart", "plot_parameters", "fit_head", "study_of", "batchnorm_drift", "explained"],
    "subsets": ["train_only", "merge_adapters", "added_by"],
    "gardenvit": ["GardenViT"],
    "movement": ["gradient_norms", "first_steps", "plot_first_steps", "weights_moved", "features_moved"],
    "rates": ["range_test", "plot_range_test"],
    "curves": ["learning_curves", "overfitting", "paired_values", "plot_curves"],
    "budget": ["choose_budget", "Budget"],
    "guesses": ["beside"],
    "asking": ["quiz"],
    "checks": ["check"],
    "live": ["show_widget"],
    "costs": ["step_costs", "count_flops", "kept_for_backward", "stage_seconds"],
    "diagrams": ["plot_dataset_view", "plot_model_view", "plot_network", "plot_costs", "variant_table"],
    "sliders": ["browse", "draw_depth"],
    "trials": ["Setting", "Trial", "try_setting"],
    "prospects": ["prospect", "depth_table"],
    "comparing": ["trial_table", "plot_trials"],
    "explorer": ["explore", "draw_explorer"],
    "transferability": ["source_features", "logme", "linear_probe", "plot_scores"],
    "zoo": ["pretrained_models", "best_within", "best_for_cost", "plot_models"],
    "deciding": ["first_try", "decision_table"],
    "contest": ["for_practice", "last_score"],
    "hotdogs": ["draw_food"],
    "snapshots": ["write_hot_dogs", "fresh_hot_dogs"],
    "unpacking": ["image_folder"],
    "imagecache": ["cache_folder"],
    "inspection": ["inspect_images"],
    "twins": ["fingerprint"],
    "leakage": ["leak_study", "leak_gaps"],
    "uploading": ["show_uploader"],
    "exporting": ["export_onnx", "OnnxClassifier", "compare_logits", "missing_for_onnx"],
    "saliency": ["class_map", "enlarge", "plot_class_maps"],
    "fieldmarks": ["repaint", "marks_between", "bird_parts"],
    "certainty": [
        "confidence",
        "sure",
        "known_from_unknown",
        "calibration_error",
        "fit_temperature",
        "plot_confidence",
        "plot_reliability",
    ],
    "museum": ["batches", "predict", "what_changed", "probed", "features_at", "bill", "points_lost"],
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted(_MODULE)


def __getattr__(name: str):
    """Import a name's module when the name is first used: importing helpers itself costs nothing."""
    if name not in _MODULE:
        raise AttributeError(f"helpers has no {name!r}; see help(helpers) for what there is")
    value = getattr(import_module(f"helpers.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
