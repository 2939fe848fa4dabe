"""Figures are made for any number of classes and fits, name their photographers, and are not shown without words."""

import re
import warnings
from collections import Counter
from html import unescape
from types import SimpleNamespace

import IPython.display
import matplotlib
import matplotlib.pyplot
import pytest
import torch
from fits import fitted, short
from matplotlib.figure import Figure

from helpers.images.tasks import Split
from helpers.lessons.goldfinches.calibration import plot_confidence
from helpers.notebook import figures as plots
from helpers.training.recipes import SCRATCH


@pytest.fixture(autouse=True)
def no_figure_stays_open_in_pyplot():
    before = dict(matplotlib.rcParams)
    yield
    assert matplotlib.pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before, "a figure changed the user's settings"


def drawn(figure) -> Figure:
    """The figure, once it has been drawn without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return figure


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def pictures(count, side=16):
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)


def a_fit(labels, answers, classes):
    """What plot_mistakes needs of a fit, for these answers."""
    labels, answers = torch.tensor(labels), torch.tensor(answers)
    logits = torch.nn.functional.one_hot(answers, len(classes)) * 5.0
    test = Split(pictures(len(labels)), torch.arange(len(labels)), labels, [""] * len(labels))
    task, classifier = SimpleNamespace(test=test), SimpleNamespace(classes=classes)
    return SimpleNamespace(labels=labels, logits=logits, correct=labels == answers, task=task, classifier=classifier)


@pytest.mark.parametrize("count, titled", [(1, True), (3, False), (8, True), (9, False), (20, True)])
def test_images_are_shown_in_rows(count, titled):
    images = pictures(count)
    titles = [f"picture {i}" for i in range(count)] if titled else None
    figure = drawn(plots.plot_images(images, titles))
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == count
    for axes, image in zip(shown, images, strict=True):
        assert (axes.images[0].get_array() == image.permute(1, 2, 0).numpy()).all()
    assert [axes.get_title() for axes in shown] == (titles or [""] * count)


@pytest.mark.parametrize("count, titles", [(0, None), (2, ["one"]), (1, ["one", "two"])])
def test_no_images_or_another_number_of_titles_is_an_error(count, titles):
    with pytest.raises(ValueError, match=f"cannot show {count} images"):
        plots.plot_images(pictures(count), titles)


@pytest.mark.parametrize("per_class", [1, 9])
@pytest.mark.parametrize("classes", [1, 4])
def test_a_split_is_shown_with_a_row_for_each_class(per_class, classes):
    labels = torch.arange(classes).repeat(3)
    split = Split(pictures(len(labels)), torch.arange(len(labels)), labels, [""] * len(labels))
    names = [f"kind {i}" for i in range(classes)]
    figure = drawn(plots.plot_split(split, names, per_class))
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == names
    assert sum(len(axes.images) for axes in figure.axes) == classes * min(per_class, 3)



@pytest.mark.parametrize("classes", [1, 4, 120])
def test_a_confusion_matrix_counts_truth_by_row_and_answers_by_column(classes):
    generator = torch.Generator().manual_seed(0)
    labels, answers = torch.randint(classes, (2, 300), generator=generator)
    figure = drawn(plots.plot_confusion(labels, answers, [f"class {i}" for i in range(classes)]))
    (axes,) = figure.axes
    assert max(figure.get_size_inches()) < 20
    written = {text.get_position()[::-1]: int(text.get_text()) for text in axes.texts}
    assert written == Counter(zip(labels.tolist(), answers.tolist(), strict=True))


def test_a_class_without_test_images_leaves_an_empty_row():
    figure = drawn(plots.plot_confusion(torch.tensor([0, 0]), torch.tensor([0, 1]), ["a", "b"]))
    assert figure.axes[0].images[0].get_array().tolist() == [[0.5, 0.5], [0.0, 0.0]]


@pytest.mark.parametrize("labels, answers", [([0, 1], [0]), ([0, 2], [0, 1]), ([0], [-1]), ([0, 1], [[0.1, 0.9], [0.2, 0.8]])])
def test_answers_that_do_not_fit_the_classes_are_an_error(labels, answers):
    with pytest.raises(ValueError, match="from 0 to 1"):
        plots.plot_confusion(torch.tensor(labels), torch.tensor(answers), ["a", "b"])


@pytest.mark.parametrize("wrong, shown", [(1, 1), (12, 8)])
def test_mistakes_are_shown_with_both_labels_the_worst_first(wrong, shown):
    run = a_fit([0] * 12, [1] * wrong + [0] * (12 - wrong), ["daisy", "rose"])
    run.logits[wrong - 1] *= 3
    figure = drawn(plots.plot_mistakes(run))
    titles = [text for text in texts(figure) if "taken for" in text]
    assert len(titles) == shown and all("daisy\ntaken for rose" in title for title in titles)
    assert (figure.axes[0].images[0].get_array() == run.task.test[wrong - 1][0].permute(1, 2, 0).numpy()).all()
    with pytest.raises(ValueError, match="no mistakes to show: every test image is classified correctly"):
        plots.plot_mistakes(a_fit([0, 1], [0, 1], ["daisy", "rose"]))


def test_mistakes_of_a_real_fit():
    run = fitted(short(SCRATCH))
    assert not run.correct.all()
    drawn(plots.plot_mistakes(run, count=2))




# --- show ---


@pytest.fixture
def shown(monkeypatch):
    """What `show` gives to the notebook."""
    bundles = []
    monkeypatch.setattr(IPython.display, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def read_aloud(bundle):
    """The text of what `show` gave to the notebook, and its picture's address and alternative text."""
    html = bundle["text/html"]
    source, alt = re.search('<img src="([^"]*)" alt="([^"]*)"', html).groups()
    return unescape(re.sub("<[^>]*>", "", html)), source, unescape(alt)


ALT = 'Accuracy of two recipes: "scratch" < fine-tuned & both rise.'


@pytest.mark.parametrize("figure, kind", [("images", "jpeg"), ("lines", "png")])
def test_show_puts_the_words_below_the_figure_and_into_it_for_screen_readers(figure, kind, shown):
    make = {"images": lambda: plots.plot_images(pictures(2)),
            "lines": lambda: plot_confidence({"known": torch.rand(5)})}  # fmt: skip
    plots.show(make[figure](), ALT)
    (bundle,) = shown
    text, source, alt = read_aloud(bundle)
    assert alt == text == ALT
    assert source.startswith(f"data:image/{kind};base64,") and len(source) > 1000
    assert bundle["text/plain"] == f"[figure] {ALT}"


LINES = ["Åsa Öberg, CC BY 4.0, inaturalist.org/photos/7", "$x_1$ 王小明 <b>, CC0 1.0, inaturalist.org/photos/8"]


def test_credits_are_below_the_figure_that_is_given_them_once_each(shown):
    figure = plots.plot_images(pictures(8), columns=4, credits=[LINES[0], "", LINES[0]])
    before = figure.get_size_inches()[1]
    assert figure.get_supxlabel().startswith(f"Photographs: {LINES[0][:20]}") and figure.get_supxlabel().count("Öberg") == 1
    plots.show(figure, ALT, credits=LINES)
    assert figure.get_size_inches()[1] > before and "and 1 more" not in figure.get_supxlabel()
    (bundle,) = shown
    text = read_aloud(bundle)[0]
    assert all(line in text and line in bundle["text/plain"] for line in LINES), "also for those who cannot see it"
    drawn(figure)


def test_many_credits_are_shortened_in_the_figure_and_all_in_the_list_that_unfolds(shown):
    lines = [f"photographer {i}" for i in range(400)]
    figure = plots.plot_images(pictures(1), width=4)
    plots.show(figure, ALT, credits=lines)
    assert "and 394 more" in " ".join(figure.get_supxlabel().split()) and figure.get_size_inches()[1] < 6
    assert all(line in read_aloud(shown[0])[0] for line in lines)


def test_splits_and_mistakes_name_the_photographers_of_what_they_show():
    labels = torch.tensor([0, 0, 1, 1])
    split = Split(pictures(4), torch.arange(4), labels, [""] * 4, credits=["Ana", "Bob", "Cem", ""])
    assert plots.plot_split(split, ["daisy", "rose"], 1).get_supxlabel() == "Photographs: Ana; Cem"
    run = a_fit([0, 0, 1, 1], [0, 1, 1, 1], ["daisy", "rose"])
    run.task.test = split
    assert plots.plot_mistakes(run).get_supxlabel() == "Photographs: Bob"
    assert not plots.plot_images(pictures(2), credits=["", ""]).get_supxlabel()


def test_a_lectures_figure_has_its_own_caption_and_text_for_screen_readers(shown):
    plots.show(plots.plot_images(pictures(1)), "02/space")
    text, _, alt = read_aloud(shown[-1])
    assert "laid out by t-SNE" in text and alt.startswith("A scatter plot")


@pytest.mark.parametrize("alt", ["", "a figure", " \n" * 30, "02/nothing", "nothing/space"])
def test_show_refuses_a_figure_without_words(alt, shown):
    with pytest.raises(ValueError, match="say in a sentence or two|no texts for the figure"):
        plots.show(plots.plot_images(pictures(1)), alt)
    assert not shown


STRANGE = ["$\\frac{$", "_background", "猫", "a\\b", "<script>", "%", ""]


@pytest.mark.parametrize("draw", [
    lambda names: plots.plot_confusion(torch.arange(len(names)), torch.arange(len(names)), names),
    lambda names: plots.plot_images(torch.zeros(len(names), 3, 8, 8, dtype=torch.uint8), names),
    lambda names: plot_confidence({name: torch.rand(5) for name in names}),
], ids=["confusion", "images", "confidence"])  # fmt: skip
def test_a_class_may_have_any_name_in_a_figure_and_letters_that_no_font_has_are_said_once(draw, capsys, monkeypatch):
    monkeypatch.setattr(IPython.display, "display", lambda *args, **kwargs: None)
    figure = draw(STRANGE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.show(figure, "A figure with strange names in it.")
    boxes = "Some letters are drawn as boxes"
    assert capsys.readouterr().out.count(boxes) == (plots.drawable("猫") == "□")
    if (legend := figure.axes[0].get_legend()) is not None:
        assert len(legend.get_texts()) == len(STRANGE), "no entry is lost"


def test_an_axis_of_powers_has_numbers_and_no_markup(capsys):
    figure = Figure(figsize=(4, 3))
    figure.subplots().loglog([0.01, 1, 100], [1, 10, 1000])
    plots.show(figure, "A line that rises steadily on two axes of powers of ten")
    capsys.readouterr()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels() + figure.axes[0].get_yticklabels()]
    assert {"0.01", "1", "100"} <= set(labels) and "$" not in "".join(labels)
