"""Scores of sources: what they maximise, what they leave out, what they refuse."""

import numpy
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from helpers import load_backbone, load_study, render
from helpers.lessons.choosing.transferability import linear_probe, logme, plot_scores, source_features


def made(n=30, d=8, classes=3, signal=1.0, seed=0):
    dice = torch.Generator().manual_seed(seed)
    x, labels = torch.randn(n, d, generator=dice), torch.arange(n) % classes
    x[:, 0] += signal * labels
    return x, labels


def evidence(x, y, a, b):
    """Of labels y under a linear model of x, from the definition: y is normal, with this covariance."""
    covariance = numpy.eye(len(x)) / b + x @ x.T / a
    return multivariate_normal(numpy.zeros(len(x)), covariance).logpdf(y)


@pytest.mark.parametrize("n, d", [(30, 8), (40, 3), (12, 20)])
def test_logme_is_the_greatest_evidence_that_a_general_search_finds(n, d):
    x, labels = made(n, d)
    found = []
    for label in range(3):
        y = (labels == label).double().numpy()
        worse = [minimize(lambda p, y=y: -evidence(x.double().numpy(), y, *numpy.exp(p)), start, method="Nelder-Mead",
                          options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 2000}).fun for start in ((0, 0), (3, 1))]  # fmt: skip
        found.append(-min(worse) / n)
    assert logme(x, labels) == pytest.approx(numpy.mean(found), abs=1e-4)


@pytest.mark.parametrize("score", [logme, linear_probe])
def test_scores_rise_with_what_the_features_say_about_the_labels(score):
    mute, quiet, loud = (score(*made(60, 8, signal=signal)) for signal in (0.0, 1.0, 5.0))
    assert mute < quiet < loud


@pytest.mark.parametrize("score", [logme, linear_probe])
def test_scores_do_not_depend_on_the_order_of_images_or_numbers_of_classes(score):
    x, labels = made(24, 8)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(3))
    assert score(x[order], labels[order]) == pytest.approx(score(x, labels))
    assert score(x, 10 - 2 * labels) == pytest.approx(score(x, labels))


def test_probe_leaves_out_each_image_that_it_is_asked_about():
    """The same answers as when the ridge regression is solved anew without that image."""
    x, labels = made(15, 4, signal=1.5)
    x = ((x - x.mean(0)) / x.std(0)).double()
    y = torch.nn.functional.one_hot(labels).double()
    shares = []
    for strength in (0.01, 0.1, 1.0, 10.0):
        penalty, right = strength * torch.linalg.eigvalsh(x @ x.T).mean(), 0
        for i in range(15):
            rest = torch.arange(15) != i
            with_one = torch.cat([x, torch.ones(15, 1)], 1)
            # all columns sum to 0, so that penalising the weights alone leaves the intercept free
            weights = torch.diag(torch.tensor([penalty] * 4 + [0.0]).double())
            solved = torch.linalg.solve(with_one[rest].T @ with_one[rest] + weights, with_one[rest].T @ y[rest])
            right += int((with_one[i] @ solved).argmax() == labels[i])
        shares.append(right / 15)
    assert linear_probe(*made(15, 4, signal=1.5)) == pytest.approx(max(shares))


def test_features_are_what_the_head_gets():
    backbone, images = load_backbone("garden"), render("flowers", range(4), range(4))[0]
    got = source_features(backbone, images)
    with torch.no_grad():
        logits = backbone.model.eval()(backbone.normalise(images))
    assert got.shape == (4, 256) and torch.allclose(backbone.model.fc(got), logits, atol=1e-4)


@pytest.mark.parametrize("score", [logme, linear_probe])
@pytest.mark.parametrize(
    "x, labels, message",
    [
        (torch.zeros(4), torch.zeros(4, dtype=torch.long), "features must be .N, D."),
        (torch.zeros(4, 2), torch.zeros(3, dtype=torch.long), "features must be .N, D."),
        (torch.zeros(4, 2), torch.zeros(4), "labels whole numbers"),
        (torch.full((4, 2), float("nan")), torch.arange(4) % 2, "must be finite"),
        (torch.zeros(4, 2), torch.zeros(4, dtype=torch.long), "two classes"),
    ],
)
def test_what_cannot_be_scored_is_refused(score, x, labels, message):
    with pytest.raises(ValueError, match=message):
        score(x, labels)


def test_figure_has_a_panel_a_target_and_a_marker_a_source():
    study = load_study("choosing")
    figure = plot_scores(study, "logme", "LogME")
    part = study.select(how="new head").runs
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in panels] == list(part.target.unique())
    assert {text.get_text() for text in panels[-1].get_legend().get_texts()} == set(part.source)
    over = plot_scores(study, "logme", "LogME", live=study.select(how="new head", target="tissue", source="garden"))
    assert "measured here" in {text.get_text() for text in over.axes[-1].get_legend().get_texts()}
