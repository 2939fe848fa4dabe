"""The examples in the docstrings of the core and of a source run, and give what they say."""

import doctest

import pytest

from helpers import freezing, heads, stages
from helpers.sources import from_package


@pytest.mark.parametrize("module", [heads, stages, freezing, from_package], ids=lambda module: module.__name__)
def test_the_examples_are_right(module):
    public = [name for name, value in vars(module).items() if not name.startswith("_") and getattr(value, "__doc__", None)]
    assert doctest.testmod(module).failed == 0 and public
