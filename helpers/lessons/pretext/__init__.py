"""Lecture 1, transfer and self-supervised learning: the views and the loss of SimCLR, its training, and a diagram of it."""

from helpers.lessons.pretext.diagram import plot_simclr
from helpers.lessons.pretext.tasks import nt_xent, train_simclr, views

__all__ = ["nt_xent", "plot_simclr", "train_simclr", "views"]
