"""Lecture 1, transfer and self-supervised learning: pretext tasks, and how many labels each source needs."""

from helpers.lessons.pretext.studies import HEADS, QUESTION, cases
from helpers.lessons.pretext.tasks import nt_xent, rotate, train_rotation, train_simclr, views
from helpers.sources.shipping import save_source

__all__ = ["HEADS", "QUESTION", "cases", "nt_xent", "rotate", "save_source", "train_rotation", "train_simclr", "views"]
