"""The computer's camera in a notebook: pictures of a few classes, recorded by holding a button, and answers to live frames.

A widget on anywidget; what the browser does is in camera.js. Frames go from the page to the kernel and into files, nowhere else.
(wigglystuff's WebcamCapture, on anywidget too, keeps one PNG of the whole frame: no classes, no bursts, no reasons in words.)
"""

import io
import os
import re
from collections import Counter
from html import escape
from pathlib import Path

import anywidget
import traitlets

from helpers.notebook.widgets import show_widget

LARGEST = 1_000_000  # bytes of a picture; one of 224 x 224 pixels as JPEG has about 20,000
ENOUGH, PRESSES = 12, 3  # pictures of a class, and presses: one each to train on, to validate and to test
_FILE = re.compile(r"press(\d+)-(\d+)\.jpg")
_HOW = "Start the camera, and hold a class's button while you move the thing about. Press at least three times for each class."


class Camera:
    """What `camera` shows, for code: the folder with its pictures, how many there are, and `live`.

    folder  mug/press01-001.jpg, ...: a folder for each class; files of one press of a button share a number
    """

    def __init__(self, classes: list[str], folder: Path):
        self.classes, self.folder = classes, folder
        self.trouble = ""  # why the browser gives no camera, in words
        self._predict, self._last = None, []  # the files of the last press
        self._presses = {}  # {(label, the press's id in the page): (its number, its files)}
        self.widget = _Widget(labels=classes, said=_HOW)
        self.widget.on_msg(self._heard)
        self._count()

    @property
    def counts(self) -> dict[str, dict[int, int]]:
        """{class: {press: its pictures}}, of the files in the folder."""
        return {name: _presses(self.folder / name) for name in self.classes}

    @property
    def missing(self) -> str:
        """What has to be recorded before a network can learn from it and be tested; "" if there is enough."""
        lines = [f"{name!r} has {sum(its.values())} pictures in {len(its)} press{'es' * (len(its) != 1)}"
                 for name, its in self.counts.items() if sum(its.values()) < ENOUGH or len(its) < PRESSES]  # fmt: skip
        needed = f". Each class needs {ENOUGH} pictures or more, in {PRESSES} presses or more."
        return "; ".join(lines) + needed if lines else ""

    def live(self, classifier) -> None:
        """Show the camera again, with a bar for each class: what the classifier says of the current frame.

        classifier: a trained one (`fit(...).classifier`), or a function: open picture file -> {class: probability}.
        """
        predict = getattr(classifier, "predict", classifier)
        if not callable(predict):
            kind = type(classifier).__name__
            raise TypeError(f"live takes a classifier, such as fit(...).classifier, or a function; got {kind}: train first")
        self._predict, self.widget.classes = predict, list(getattr(classifier, "classes", self.classes))
        self.widget.said = "Press Start the camera, then Live."
        show_widget(self.widget, _fallback("what the network says of the camera's frames, live"))

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {sum(its.values())}" for name, its in self.counts.items())
        return f"Camera into {self.folder} ({counts} pictures)"

    def _heard(self, _, content, buffers) -> None:
        kind, data = content.get("kind"), bytes(buffers[0]) if buffers else b""
        if kind == "frame":
            self._keep(content.get("label"), str(content.get("press")), data)
        elif kind == "ask":
            self.widget.send({"kind": "answer", "id": content.get("id")} | self._answer(data))
        elif kind == "undo" and self._last:
            for file in self._last:
                file.unlink(missing_ok=True)
            self.widget.said = f"Removed the last press, {len(self._last)} pictures of {self._last[0].parent.name}."
            self._last.clear()
            self._count()
        elif kind == "trouble":
            self.trouble = str(content.get("text"))

    def _keep(self, label, press: str, data: bytes) -> None:
        """Write one picture: all of it or nothing, and never over another."""
        if not isinstance(label, int) or not 0 <= label < len(self.classes) or data[:2] != b"\xff\xd8" or len(data) > LARGEST:
            return
        place = self.folder / self.classes[label]
        place.mkdir(parents=True, exist_ok=True)
        if (label, press) not in self._presses:
            self._presses[label, press] = max(_presses(place), default=0) + 1, []
        number, self._last = self._presses[label, press]
        count = len(self._last) + 1
        while (file := frame_file(place, number, count)).exists():  # of another notebook that records here, too
            count += 1
        write_frame(file, data)
        self._last.append(file)
        self._count()
        self.widget.said = f"{self.classes[label]}: press {number}, {len(self._last)} pictures."

    def _answer(self, data: bytes) -> dict:
        if self._predict is None:
            return {"trouble": "No network is trained yet: train one, then camera.live(classifier)."}
        try:
            shares = self._predict(io.BytesIO(data))
            return {"shares": [float(shares[name]) for name in self.widget.classes]}
        except Exception as error:  # of the student's function, too: shown beside the button, where it was pressed
            return {"trouble": f"No answer. {type(error).__name__}: {error}"}

    def _count(self) -> None:
        self.widget.counts = [[sum(its.values()), len(its)] for its in self.counts.values()]
        self.widget.undoable = bool(self._last)


class _Widget(anywidget.AnyWidget):
    _esm = Path(__file__).with_name("camera.js")
    labels = traitlets.List([]).tag(sync=True)
    counts = traitlets.List([]).tag(sync=True)  # [pictures, presses] of each label
    classes = traitlets.List([]).tag(sync=True)  # of the network that answers; [] before one is trained
    said = traitlets.Unicode("").tag(sync=True)
    undoable = traitlets.Bool(False).tag(sync=True)


def frame_file(place: Path, press: int, number: int) -> Path:
    """Where a picture of a press is kept, in the folder of its class."""
    return place / f"press{press:02}-{number:03}.jpg"


def write_frame(file: Path, data: bytes) -> None:
    """Write a picture: all of it or nothing."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_bytes(data)
    unfinished.replace(file)


def _presses(place: Path) -> dict[int, int]:
    """{press: its pictures}, of the files in the folder of a class."""
    matches = map(_FILE.fullmatch, sorted(os.listdir(place)) if place.is_dir() else [])
    return dict(Counter(int(match[1]) for match in matches if match))


def camera(classes, folder: str | Path = "pictures") -> Camera:
    """Show the computer's camera, with a button for each class that records about ten pictures a second while it is held.

    They go into `folder`, in a folder for each class; what is there stays, and new presses get new numbers. Nothing leaves the
    machine. Where there is no camera, the widget says why, and takes files. Raises ValueError for names that cannot be folders.
    """
    made = Camera(folder_names(classes), Path(folder).expanduser())
    show_widget(made.widget, _fallback(f"the camera, with a button for each of {', '.join(made.classes)}"))
    return made


def folder_names(classes) -> list[str]:
    """The names of classes as names of folders: what no system takes in one becomes "-", so "a/b" is "a-b"."""
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f'classes={classes!r} must be a list of names, such as ["mug", "phone", "nothing"]')
    names = [re.sub(r'[\x00-\x1f<>:"/\\|?*]', "-", name).strip(" .") for name in classes]
    if empty := [name for name, clean in zip(classes, names, strict=True) if not clean.strip("-_")]:
        raise ValueError(f"{empty[0]!r} cannot be the name of a class: give it a word that says what its pictures show")
    if len(names) < 2:
        raise ValueError(f"classes={names!r} must be two or more: with one there is nothing to tell apart. Add 'nothing'")
    if same := [name for name in names if [other.casefold() for other in names].count(name.casefold()) > 1]:
        raise ValueError(f"{' and '.join(map(repr, same))} would share a folder: give each class a name of its own")
    for name, clean in zip(classes, names, strict=True):
        if clean != name:
            print(f"{name!r} is called {clean!r} here: the name has to be the name of a folder, too")
    return names


def _fallback(what: str) -> dict[str, str]:
    text = f"When the notebook runs, here is {what}."
    return {"text/html": f"<p><i>{escape(text)}</i></p>", "text/plain": text}
