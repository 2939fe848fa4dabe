"""Helpers of the transfer learning course: `import helpers as h`.

    the model     stage_names, split       the ordered stages of any classifier, and the cut at one of them
                  find_head, swap_head     its output layer
                  freeze, parameter_groups, Thaw     what trains, how fast, and from when on
                  summary, count_flops     what each stage holds and costs
                  load_backbone, GardenNet source models by name, with their preprocessing
    the images    describe, open_task      a task by name or folder; `describe()` lists the names
                  render, read_image, inspect_images
    the training  Recipe, SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, diff
                  fit, compare, run_study, load_study, wilson     one fit; many fits in one table
                  save_trained, load_classifier      keep only what was trained; use it elsewhere
    the notebook  show, plot_images, plot_split, plot_confusion, plot_mistakes
                  plot_lines, plot_map, plot_differences     figures of studies
                  choose_budget, beside, quiz, check         quick or full; a guess beside the outcome; questions; answers
                  camera                                     the computer's camera: pictures of your own classes, live answers

What a single lecture or lab uses is in its own module: `from helpers.lessons import fine_tuning`.
The core, to read first: stages.py, heads.py, freezing.py.
"""

from importlib import import_module

_HOME = {
    "stages": ["stage_names", "split"],
    "heads": ["find_head", "swap_head"],
    "freezing": ["freeze", "parameter_groups"],
    "training.callbacks": ["Thaw"],
    "training.costs": ["summary", "count_flops"],
    "sources.backbones": ["load_backbone"],
    "sources.gardennet": ["GardenNet"],
    "images.drawn.garden": ["render"],
    "images.decoding": ["read_image"],
    "images.catalog": ["describe"],
    "images.tasks": ["open_task"],
    "images.inspection": ["inspect_images"],
    "training.recipes": [
        "Recipe",
        "SCRATCH",
        "FEATURE_EXTRACTION",
        "FINE_TUNE_LAST",
        "FINE_TUNE_ALL",
        "PROBE_THEN_FINE_TUNE",
        "diff",
    ],
    "training.fitting": ["fit"],
    "training.study": ["compare", "run_study", "load_study"],
    "training.classifier": ["load_classifier", "save_trained"],
    "training.intervals": ["wilson"],
    "notebook.figures": ["show", "plot_images", "plot_split", "plot_confusion", "plot_mistakes"],
    "training.charts": ["plot_lines", "plot_map", "plot_differences"],
    "notebook.quiz": ["quiz"],
    "notebook.camera": ["camera"],
    "notebook.guesses": ["beside"],
    "lessons.checks": ["check"],
    "lessons.budget": ["choose_budget"],
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
