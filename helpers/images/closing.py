"""A switch that refuses further pictures: while it is set, nothing is drawn and no task is opened, as in a contest."""

from contextlib import contextmanager

_closed = False


class MorePictures(Exception):
    """A picture was asked for where no further ones are allowed."""


@contextmanager
def given_pictures_only():
    """Within this context `render` and `open_task` raise MorePictures: only pictures that exist already can be used."""
    global _closed
    before, _closed = _closed, True
    try:
        yield
    finally:
        _closed = before


def refuse_if_closed() -> None:
    """Raises MorePictures within `given_pictures_only()`."""
    if _closed:
        raise MorePictures("more pictures are drawn or opened than were given")
