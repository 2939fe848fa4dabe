"""The studies behind the lectures. Each module has run(seeds), which measures it and writes helpers/data/study-*.json,
and stamps(), the numbers and sentences of the lecture's text that come from it."""

from importlib import import_module
from pkgutil import iter_modules


def studies() -> dict:
    """Every study module by its name."""
    return {module.name: import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)}
