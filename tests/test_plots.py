"""Figures are made for any number of classes and recipes, and nobody is shown one without words."""

import warnings
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import IPython.display
import matplotlib
import matplotlib.pyplot
import pytest
import torch
from fits import fitted, invented, short, small_task
from matplotlib.figure import Figure

from helpers.images.tasks import Split
from helpers.notebook import figures as plots
from helpers.training.recipes import FEATURE_EXTRACTION, SCRATCH


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


@pytest.mark.parametrize("count", [1, 3, 8, 9, 20])
@pytest.mark.parametrize("titled", [True, False])
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


@pytest.mark.parametrize("per_class", [1, 2, 9])
def test_a_split_is_shown_with_a_row_for_each_class(per_class):
    task = small_task()
    figure = drawn(plots.plot_split(task.train, task.classes, per_class))
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == task.classes
    assert sum(len(axes.images) for axes in figure.axes) == 4 * min(per_class, 3)


def test_a_split_of_one_class_is_shown():
    one = Split(pictures(3), torch.arange(3), torch.zeros(3, dtype=torch.int64), [""] * 3)
    assert "daisy" in texts(drawn(plots.plot_split(one, ["daisy"])))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_learning_curves_of_one_and_of_many_fits(count):
    run = fitted(short(FEATURE_EXTRACTION))
    runs = [replace(run, recipe=replace(run.recipe, name=f"recipe {i}")) for i in range(count)]
    figure = drawn(plots.plot_history(runs if count > 1 else run))
    left, right = figure.axes
    assert len(left.lines) == 2 * count and len(right.lines) == count
    assert list(right.lines[0].get_ydata()) == list(100 * run.history.val_accuracy)
    assert {f"recipe {count - 1}", f"recipe {count - 1}, training"} - set(texts(figure)) == (
        set() if count > 1 else {"recipe 0", "recipe 0, training"}
    )


def test_lines_and_legends_are_in_the_style_of_the_course():
    figure = plots.plot_history(fitted(short(FEATURE_EXTRACTION)))
    for axes in figure.axes:
        assert {line.get_linewidth() for line in axes.lines} == {plots.STYLE["lines.linewidth"]}
        assert not axes.get_legend().get_frame_on()


def test_no_fits_is_an_error():
    with pytest.raises(ValueError, match="no fit"):
        plots.plot_history([])


@pytest.mark.parametrize("classes", [1, 2, 4, 37, 120])
def test_a_confusion_matrix_counts_truth_by_row_and_answers_by_column(classes):
    generator = torch.Generator().manual_seed(0)
    labels, answers = torch.randint(classes, (2, 300), generator=generator)
    figure = drawn(plots.plot_confusion(labels, answers, [f"class {i}" for i in range(classes)]))
    (axes,) = figure.axes
    assert max(figure.get_size_inches()) < 20
    written = {text.get_position()[::-1]: int(text.get_text()) for text in axes.texts}
    expected = {}
    for pair in zip(labels.tolist(), answers.tolist(), strict=True):
        expected[pair] = expected.get(pair, 0) + 1
    assert written == expected


def test_a_class_without_test_images_leaves_an_empty_row():
    figure = drawn(plots.plot_confusion(torch.tensor([0, 0]), torch.tensor([0, 1]), ["a", "b"]))
    assert figure.axes[0].images[0].get_array().tolist() == [[0.5, 0.5], [0.0, 0.0]]


@pytest.mark.parametrize(
    "labels, answers", [([0, 1], [0]), ([0, 2], [0, 1]), ([0], [-1]), ([0, 1], [[0.1, 0.9], [0.2, 0.8]])]
)
def test_answers_that_do_not_fit_the_classes_are_an_error(labels, answers):
    with pytest.raises(ValueError, match="from 0 to 1"):
        plots.plot_confusion(torch.tensor(labels), torch.tensor(answers), ["a", "b"])


@pytest.mark.parametrize("wrong, shown", [(1, 1), (5, 5), (12, 8)])
def test_mistakes_are_shown_with_the_truth_and_the_answer(wrong, shown):
    run = a_fit([0] * 12, [1] * wrong + [0] * (12 - wrong), ["daisy", "rose"])
    titles = [text for text in texts(drawn(plots.plot_mistakes(run))) if "taken for" in text]
    assert len(titles) == shown and all("daisy" in title and "taken for rose" in title for title in titles)


def test_the_worst_mistake_comes_first():
    run = a_fit([0, 0, 1], [1, 1, 1], ["daisy", "rose"])
    run.logits[1] *= 3
    figure = plots.plot_mistakes(run)
    assert (figure.axes[0].images[0].get_array() == run.task.test[1][0].permute(1, 2, 0).numpy()).all()


def test_mistakes_of_a_real_fit():
    run = fitted(short(SCRATCH))
    assert not run.correct.all()
    drawn(plots.plot_mistakes(run, count=2))


def test_no_mistakes_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no mistakes to show: every test image is named rightly"):
        plots.plot_mistakes(a_fit([0, 1], [0, 1], ["daisy", "rose"]))


@pytest.mark.parametrize("recipes, panels", [(1, 1), (2, 1), (9, 3)])
def test_comparisons_show_each_run_and_each_mean(recipes, panels):
    generator = torch.Generator().manual_seed(0)
    answers = {f"recipe {i}": torch.rand(3, 20, generator=generator) < (i + 1) / 10 for i in range(recipes)}
    comparison = invented(**answers)
    figure = drawn(plots.plot_comparisons([comparison] * panels))
    assert len(figure.axes) == panels and set(answers) <= set(texts(figure))
    dots = figure.axes[0].lines[0].get_xdata()
    assert list(dots) == pytest.approx((100 * answers["recipe 0"].double().mean(1)).tolist(), abs=1e-4)
    assert f"{comparison.table('recipe').loc['recipe 0', 'accuracy %']:.0f}" in texts(figure)


@pytest.mark.parametrize("comparisons", [[], [invented(a=[[1, 0]]), invented(b=[[1, 0]])]])
def test_no_comparisons_or_such_of_other_recipes_are_an_error(comparisons):
    with pytest.raises(ValueError, match="comparisons of the same recipes"):
        plots.plot_comparisons(comparisons)


# --- show ---


@pytest.fixture
def shown(monkeypatch):
    """What `show` gives to the notebook."""
    bundles = []
    monkeypatch.setattr(IPython.display, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.images, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_data(self, data):
        self.text += data


ALT = 'Accuracy of two recipes: "scratch" < fine-tuned & both rise.'


@pytest.mark.parametrize("figure, kind", [("images", "jpeg"), ("history", "png")])
def test_show_puts_the_words_below_the_figure_and_into_it_for_screen_readers(figure, kind, shown):
    make = {"images": lambda: plots.plot_images(pictures(2)),
            "history": lambda: plots.plot_history(fitted(short(FEATURE_EXTRACTION)))}  # fmt: skip
    plots.show(make[figure](), ALT)
    (bundle,) = shown
    tags = Tags(bundle["text/html"])
    (image,) = tags.images
    assert image["alt"] == tags.text == ALT
    assert image["src"].startswith(f"data:image/{kind};base64,") and len(image["src"]) > 1000
    assert bundle["text/plain"] == f"[figure] {ALT}"


@pytest.mark.parametrize("alt", ["", "   ", "a figure", " \n" * 30])
def test_show_refuses_a_figure_without_words(alt, shown):
    with pytest.raises(ValueError, match="say in a sentence or two"):
        plots.show(plots.plot_images(pictures(1)), alt)
    assert not shown
