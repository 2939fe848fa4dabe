"""Lab 1, flowers: the contest at its end."""

from helpers.lessons.flowers.contest import for_practice, last_score

__all__ = ["for_practice", "last_score"]
