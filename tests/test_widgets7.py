"""All widgets stay within the API of ipywidgets 7.7.1, which Google Colab has.

There unknown arguments are silently dropped, so that a mistake would show nowhere. The table was printed by
ipywidgets 7.7.1 itself (class_trait_names). To try the widgets with it: `pip install ipywidgets==7.7.1`, in an
environment of its own, and run this file and test_quiz.py there.
"""


import ipywidgets
import pytest

from helpers.notebook.quiz import FOLDER, load, make_widget

OF_ALL = {"layout"}
DESCRIBED = OF_ALL | {"description", "description_tooltip", "style"}
SELECTION = DESCRIBED | {"disabled", "index", "label", "options", "value"}
SLIDER = {"continuous_update", "orientation", "readout"}
KNOWN = {
    "Button": OF_ALL | {"button_style", "description", "disabled", "icon", "style", "tooltip"},
    "Checkbox": DESCRIBED | {"disabled", "indent", "value"},
    "RadioButtons": SELECTION,
    "Dropdown": SELECTION,
    "ToggleButtons": SELECTION | {"button_style", "icons", "tooltips"},
    "SelectionSlider": SELECTION | SLIDER,
    "IntSlider": DESCRIBED | SLIDER | {"disabled", "max", "min", "readout_format", "step", "value"},
    "Text": DESCRIBED | {"continuous_update", "disabled", "placeholder", "value"},
    "HTML": DESCRIBED | {"placeholder", "value"},
    "Image": OF_ALL | {"format", "height", "value", "width"},
    "HBox": OF_ALL | {"box_style", "children"},
    "VBox": OF_ALL | {"box_style", "children"},
    "Layout": {"display", "flex_flow", "height", "margin", "max_height", "max_width", "min_width", "padding", "width"},
}


@pytest.fixture
def made(monkeypatch):
    """(class, names of its arguments) of every widget that a test makes."""
    seen, init = [], ipywidgets.Widget.__init__

    def record(self, **arguments):
        seen.append((type(self).__name__, set(arguments)))
        init(self, **arguments)

    monkeypatch.setattr(ipywidgets.Widget, "__init__", record)
    return seen


def unknown(made):
    """What ipywidgets 7.7.1 would not know; styles are made from dicts that both versions read alike."""
    known = [(name, arguments) for name, arguments in made if not name.endswith("Style")]
    assert known, "no widget was made"
    return {(name, *(arguments - KNOWN.get(name, set()))) for name, arguments in known if arguments - KNOWN.get(name, set())}


def test_quizzes_use_no_argument_that_colabs_widgets_would_drop(made):
    for path in FOLDER.glob("*.toml"):
        for question in load(path):
            make_widget(question)
    assert not unknown(made)


def test_argument_of_a_later_version_would_be_noticed(made):
    ipywidgets.RadioButtons(options=["a"], tooltip="from version 8")
    assert unknown(made) == {("RadioButtons", "tooltip")}
