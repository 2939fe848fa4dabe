"""The course with trainings of a few steps on few images: for tests of the pages, whose numbers mean nothing.

`shorten(monkeypatch)` shortens it in this process. `SHORT` in PYTHONPATH shortens it in other processes, such as kernels:
their sitecustomize waits for the modules to be imported.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from dataclasses import replace
from pathlib import Path

SHORT = str(Path(__file__).parent)
STEPS, VAL, TEST, POOL = 3, 4, 10, 20  # optimizer steps of a training; images a class of a task


def _phase(original):
    def short(recipe, *rest, **settings):
        return original(replace(recipe, steps=min(recipe.steps, STEPS), views=min(recipe.views, 1)), *rest, **settings)

    return short


def _embedded(original):
    def short(name, per_class, seed, size, val, test):
        render = sys.modules[original.__module__]._render

        def fewer(name, part, count, *rest):
            return render(name, part, max(POOL, per_class or 0) if part == "train" else count, *rest)

        original.__globals__["_render"] = fewer
        try:
            return original(name, per_class, seed, size, VAL if val == 20 else val, TEST if test == 100 else test)
        finally:
            original.__globals__["_render"] = render

    return short


def _few_steps(least):
    def wrap(original):
        def short(*rest, **settings):
            return original(*rest, **settings | {"steps": least})

        return short

    return wrap


def _batches(original):
    return lambda *rest, **settings: original(*rest, **settings)[:STEPS]


def _few_images(original):
    return lambda images, **settings: original(images[: 16 * STEPS], **settings)


CHANGES = {
    "helpers.training.fitting": {"_phase": _phase},
    "helpers.images.tasks": {"_embedded": _embedded},
    "helpers.training.steps": {"fit_head": _few_steps(10)},
    "helpers.lessons.fine_tuning.lr_finder": {"range_test": _few_steps(10)},
    "helpers.lessons.museum.rooms": {"batches": _batches},
    "helpers.lessons.pretext.tasks": {"train_simclr": _few_images},
}


def shorten(monkeypatch) -> None:
    """Shorten everything in this process until the test is over, also where it has been imported by name."""
    for module, changes in CHANGES.items():
        importlib.import_module(module)
        for name, wrap in changes.items():
            original = getattr(sys.modules[module], name)
            short = wrap(original)
            for place in [place for key, place in sys.modules.items() if key.startswith("helpers")]:
                if vars(place).get(name) is original:
                    monkeypatch.setattr(place, name, short)


class Shortener(importlib.abc.MetaPathFinder):
    """Changes the modules of CHANGES as soon as they have been imported, before anybody takes a name from them."""

    def find_spec(self, name, path, target=None):
        if name not in CHANGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            for attribute, wrap in CHANGES[name].items():
                setattr(module, attribute, wrap(getattr(module, attribute)))

        spec.loader.exec_module = exec_module
        return spec
