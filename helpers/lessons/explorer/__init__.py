"""The freeze explorer: choose a depth, a rate and a number of labels, train, compare."""

from helpers.lessons.explorer.costs import depth_table
from helpers.lessons.explorer.panel import draw_explorer, explore
from helpers.lessons.explorer.runs import trial_table
from helpers.lessons.explorer.trials import Setting, try_setting

__all__ = ["Setting", "depth_table", "draw_explorer", "explore", "trial_table", "try_setting"]
