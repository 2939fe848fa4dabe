"""The studies behind the lectures. Each module has run(seeds), which measures it and writes helpers/data/study-*.json,
and stamps(), the numbers and sentences of the lecture's text that come from it."""

from importlib import import_module

MODULES = {  # as `make results` and the files in helpers/data call them
    "anatomy": "anatomy.studies",
    "choosing": "choosing.studies",
    "contest": "flowers.studies",
    "flowers102": "fine_tuning.flowers102",
    "goldfinches": "goldfinches.studies",
    "imagenet": "variants.imagenet",
    "labels": "pretext.studies",
    "museum": "museum.studies",
    "overlap": "choosing.overlap",
    "tuning": "fine_tuning.studies",
    "variants": "variants.studies",
}


def studies() -> dict:
    """Every study module by its name."""
    return {name: import_module(f"helpers.lessons.{path}") for name, path in MODULES.items()}
