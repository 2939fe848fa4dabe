"""Lecture 5: scores of sources, ImageNet's models, advice, and what its studies measure."""

import itertools
import re

import numpy
import pytest
import timm
import torch
import torchvision
from PIL import Image
from project import ROOT, cells, number, outcome
from scipy.optimize import minimize
from scipy.stats import binomtest, multivariate_normal
from studies import choosing
from torchvision.models import ResNet18_Weights, get_model, get_model_weights, list_models
from train_sources import PLANS

from helpers import load_backbone, load_study, open_task, render
from helpers.lessons.choosing.deciding import DISTANCES, decision_table, first_try
from helpers.lessons.choosing.transferability import linear_probe, logme, source_features
from helpers.lessons.choosing.zoo import GROUPS, UNSTATED, best_for_cost, best_within, plot_models, pretrained_models
from helpers.training.recipes import FEATURE_EXTRACTION
from helpers.training.study import Study, run_study

MODELS = pretrained_models()
both_scores = pytest.mark.parametrize("score", [logme, linear_probe])

# Scores: what they maximise, what they leave out, what they refuse


def made(n=30, d=8, classes=3, signal=1.0, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x, labels = torch.randn(n, d, generator=rng), torch.arange(n) % classes
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


@both_scores
def test_scores_rise_with_what_the_features_say_about_the_labels(score):
    mute, quiet, loud = (score(*made(60, 8, signal=signal)) for signal in (0.0, 1.0, 5.0))
    assert mute < quiet < loud


@both_scores
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
    assert source_features(load_backbone("squeezenet1_0", None), images).shape == (4, 512)  # its head averages over places


@both_scores
@pytest.mark.parametrize("x, labels, message", [
    (torch.zeros(4, 2), torch.arange(3) % 2, "features must be .N, D."),
    (torch.zeros(4, 2), torch.zeros(4), "labels whole numbers"),
    (torch.full((4, 2), float("nan")), torch.arange(4) % 2, "must be finite"),
    (torch.zeros(4, 2), torch.zeros(4, dtype=torch.long), "two classes"),
])  # fmt: skip
def test_what_cannot_be_scored_is_refused(score, x, labels, message):
    with pytest.raises(ValueError, match=message):
        score(x, labels)


# The models of torchvision


def test_every_classifier_of_torchvision_is_in_the_table_with_year_and_paper():
    assert list(MODELS.index) == list_models(module=torchvision.models)
    assert MODELS.paper.str.contains(", ").all() and MODELS.year.between(2012, 2022).all()
    assert MODELS.recipe.str.startswith("https://").all()
    # the longest beginning of a name that fits gives the paper
    assert MODELS.year["efficientnet_b0"] == 2019 and MODELS.year["efficientnet_v2_s"] == 2021
    assert MODELS.year["wide_resnet50_2"] == 2016 and MODELS.family["resnext50_32x4d"] == "ResNet"


def test_numbers_are_those_of_torchvision_and_a_model_within_a_budget_keeps_to_it():
    meta, row = ResNet18_Weights.DEFAULT.meta, MODELS.loc["resnet18"]
    assert row["accuracy %"] == meta["_metrics"]["ImageNet-1K"]["acc@1"] and row["GFLOPs"] == meta["_ops"]
    assert row["parameters"] == round(sum(p.numel() for p in get_model("resnet18", weights=None).parameters()) / 1e6, 1)
    assert row["pixels"] == 224 and row["weights"] == "IMAGENET1K_V1"
    for name, licence in MODELS.licence.items():
        assert licence == get_model_weights(name)["DEFAULT"].meta.get("license", UNSTATED)
    assert (MODELS.licence != UNSTATED).sum() >= 1
    small = best_within(MODELS, gflops=2, megabytes=50)
    assert (small["GFLOPs"] <= 2).all() and (small["MB"] <= 50).all() and small["accuracy %"].is_monotonic_decreasing
    assert "resnet18" in small.index and "vgg16" not in small.index
    with pytest.raises(ValueError, match="no model costs at most 0.001 GFLOPs"):
        best_within(MODELS, gflops=0.001)


def test_no_model_is_cheaper_and_more_accurate_than_one_of_the_best_for_their_cost():
    best = best_for_cost(MODELS)
    for name in MODELS.index:
        beaten = ((MODELS["GFLOPs"] <= MODELS["GFLOPs"][name]) & (MODELS["accuracy %"] > MODELS["accuracy %"][name])).any()
        assert beaten == (name not in best), name


def test_names_in_the_figure_hide_neither_names_nor_points():
    figure = plot_models(MODELS)
    figure.draw_without_rendering()
    axis = figure.axes[0]
    boxes = [text.get_window_extent() for text in axis.texts]
    assert len(boxes) >= 12 and {"resnet18", "resnet50", "vgg16", "vit_b_16"} <= {text.get_text() for text in axis.texts}
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    places = axis.transData.transform(MODELS[["GFLOPs", "accuracy %"]].to_numpy(float))
    assert not any(box.contains(*place) for box in boxes for place in places)
    assert len(axis.get_legend().get_texts()) == len(GROUPS) + 1


# Advice

DOES = {"feature extraction": (-1, 0), "probe, then fine-tune all": (0, 100), "fine-tune all": (0, 0)}  # upto, head_steps


def test_every_situation_gets_advice_a_reason_and_a_comparison():
    for per_class, distance, gpu in itertools.product((1, 19, 20, 199, 200, 5000), DISTANCES, (True, False)):
        advice = first_try(per_class, distance, gpu)
        assert advice.first and len(advice.why.split()) > 8 and advice.then
        assert advice.first in str(advice) and advice.first in advice._repr_html_()
        assert (advice.recipe.upto, advice.recipe.head_steps) == DOES[advice.first], "the recipe does what the words say"


def test_advice_depends_on_labels_distance_and_gpu_and_impossible_situations_get_none():
    assert first_try(5, "near").first == "feature extraction"
    assert first_try(1000, "near").first == "fine-tune all"
    assert [first_try(n, "far").first for n in (5, 50, 500)] == ["feature extraction", "fine-tune all", "fine-tune all"]
    assert all("scratch" in first_try(n, "far").then for n in (5, 50, 500))
    assert (decision_table(gpu=False) == "feature extraction").all(axis=None), "as the lecture says"
    table = decision_table()
    assert list(table.columns) == list(DISTANCES) and table.loc["some (20 to 200)", "related"] == first_try(50, "related").first

    for situation, message in (((0, "near"), "per_class=0 must"), ((5, "close"), "'close' must be one of near, related, far")):
        with pytest.raises(ValueError, match=message):
            first_try(*situation)


# What the studies measure


def small():
    return open_task("flowers", per_class=2, size=64, val=1, test=2)


def test_a_study_of_sources_records_their_scores():
    cases = choosing.cases(FEATURE_EXTRACTION, ("garden",), {"flowers": small()}, "new head")
    row = run_study(choosing.QUESTION, cases, [0], also=choosing.scored).runs.iloc[0]
    assert row["source"] == "garden" and 0 <= row["probe"] <= 1 and row["logme"] < 1


def test_rank_correlation_is_one_for_a_score_that_orders_all_sources():
    study = load_study("choosing")
    runs = study.runs.assign(oracle=study.runs.accuracy)
    told = Study(study.question, study.conditions, runs, study.correct, study.about)
    assert (choosing.rank_correlation(told, "oracle", "new head")["mean"] == 1).all()


# What the lecture says

LECTURE = ROOT / "notebooks/05_choosing_a_source.ipynb"
APPENDIX = ROOT / "notebooks/appendix/lecture5.ipynb"


def test_what_the_probe_drops_is_weak_what_it_keeps_has_the_best_two_and_all_lose_to_scratch():
    rows = {row[0]: row[1:] for row in (line.split() for line in outcome(LECTURE, "outcome").splitlines()[1:])}
    tested = sorted(rows, key=lambda name: float(rows[name][3]))
    dropped = {name for name, row in rows.items() if row[2] == "True"}
    assert len(dropped) == 3 and dropped < {*tested[:4]}, "three of the four weakest"
    assert {*tested[-2:]} == {*sorted(rows, key=lambda name: float(rows[name][0]))[-2:]}, "LogME has the best two on top, too"
    scratch = load_study("suite-garden").select(target="goldfinches", per_class=20, recipe="scratch").table().iloc[0]
    assert len(rows) == 6 and all(float(row[3]) < scratch["low"] for row in rows.values()), "all six lose to scratch"


def test_logme_sorts_the_six_laboratory_sources_into_three_groups_as_the_test_does():
    runs = load_study("choosing").select(how="new head", target="goldfinches").runs
    groups = [{"garden"}, {"garden-petals", "garden-small"}, {"garden-textures", "garden-simclr-small", "garden-regression"}]
    for score in ("logme", "accuracy"):
        order = runs.groupby("source")[score].mean().sort_values(ascending=False).index
        assert [{*order[:1]}, {*order[1:3]}, {*order[3:]}] == groups, score
    draws = runs.pivot(index="seed", columns="source", values="accuracy")
    assert (draws["garden-petals"] > draws["garden-small"]).nunique() == 2, "within a group the order changes with the draw"


def test_logme_finds_the_better_of_two_imagenet_networks_in_ten_of_ten_draws_and_the_probe_in_nine():
    scored, before = load_study("real-scores"), load_study("real-sources")
    both = scored.runs.merge(before.runs, on=["target", "source", "size", "seed"])
    assert len(both) == 30 and (both.accuracy_x == both.accuracy_y).all(), "the same fits as those of the opening"
    assert [number(LECTURE, "real-scores", name) for name in ("LogME", "linear probe")] == [10, 9]


def test_the_probe_of_your_own_images_takes_class_folders(monkeypatch, tmp_path, capsys):
    for i in range(20):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.new("RGB", (60, 50), (250 * (i % 2), 9 * i, 0)).save(tmp_path / "ab"[i % 2] / f"{i}.png")
    code = {cell.id: cell.source for cell in cells(LECTURE, "code")}
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, new=timm.create_model, **more: new(name, **more))
    exec("\n".join(code[name] for name in ("imports", "probe", "own-probe")), names := {})
    assert not capsys.readouterr().out.count("%"), "nothing is fetched before a folder is named"
    mine = code["own-probe"].replace("folder = None", f"folder = {str(tmp_path)!r}").replace("224", "56")
    exec(mine, names)
    shares = re.findall(r"^(\S+): (\d+)%$", capsys.readouterr().out, re.MULTILINE)
    assert [name for name, _ in shares] == [*names["networks"]] and all(int(share) > 90 for _, share in shares)


def test_the_table_of_candidates_says_what_they_cost_and_the_text_what_fewer_pixels_save():
    code = {cell.id: cell.source for cell in cells(LECTURE, "code")}
    exec("\n".join([code["imports"], code["candidates"]]), names := {})
    found = {name: float(row["GMACs"]) for name, row in names["rows"].items()}
    same = get_model_weights("convnext_tiny")["DEFAULT"].meta["_ops"]
    assert found["convnext_tiny.in12k_ft_in1k"] == round(same, 1) and len(found) == 5
    with torch.device("meta"), names["FlopCounterMode"](display=False) as counter:
        timm.create_model(dino := "vit_small_patch14_dinov2.lvd142m", num_classes=0, img_size=224)(torch.empty(1, 3, 224, 224))
    assert 7 < found[dino] / (counter.get_total_flops() / 2e9) < 9, "about an eighth"


def test_the_advice_on_pixels_and_the_title_of_the_map():
    sizes = load_study("real-resolution")
    assert list(sizes.paired("size", 128).loc[[160, 192, 224], "supported"]) == ["yes", "yes", "no"]
    assert (sizes.paired("size", 160).loc[[192, 224], "supported"] == "no").all(), "no further gain beyond 160"
    heads = load_study("choosing").select(how="new head", target=["flowers", "goldfinches", "tissue"])
    others = heads.select(source=["garden", "garden-petals", "garden-small", "garden-textures"])
    assert (others.paired("source", "garden", by=["target"])["high"] < 0).all(), "garden leads"
    tie = heads.select(source=["garden", "garden-simclr-small"], target="tissue").paired("source", "garden")
    assert tie.supported.item() == "no"


def test_what_the_text_says_that_sources_saw_and_how_many_drawn_goldfinches_are_called_goldfinch():
    words = "\n".join(cell.source for cell in cells(LECTURE, "markdown"))
    for name in ("garden", "garden-petals", "garden-textures", "garden-small", "garden-simclr-small"):
        seen = PLANS[name]
        assert re.search(rf"`{name}` \| (the same )?{round(len(seen.labels) * seen.per_class, -3):,}\b", words), name
    assert f"({220 * PLANS['garden'].per_class:,} drawings)" in words, "as many have petals"
    found, of = map(int, re.match(r"(\d+) of (\d+) are called goldfinch", outcome(APPENDIX, "daisy")).groups())
    low, high = binomtest(found, of).proportion_ci(method="wilson")
    told = "\n".join(cell.source for cell in cells(APPENDIX, "markdown"))
    assert f"That is {found} of {of}; 95% interval {100 * low:.0f} to {100 * high:.0f}." in told


def test_every_frozen_source_loses_to_scratch_on_the_drawn_goldfinches_and_the_fine_tuned_one_does_not():
    texts = choosing.stamps()
    assert all(texts[f"05.{source}-scratch-goldfinches"].startswith("-") for source in ("garden", "squeezenet", "lite"))
    assert all(f"05.{source}-scratch-goldfinches-by" in texts for source in ("garden", "squeezenet", "lite", "last"))
    assert "05.garden-tuned-goldfinches-by" not in texts, "no longer measurably behind"


def test_the_best_small_source_is_petals_on_flowers_and_simclr_on_tissue_where_materials_do_not_lead():
    small = ["garden-petals", "garden-textures", "garden-simclr-small", "garden-small"]
    for target, best in (("flowers", "garden-petals"), ("tissue", "garden-simclr-small")):
        study = load_study("choosing").select(how="new head", target=target, source=small)
        assert (study.paired("source", best)["high"] < 0).all(), target
    assert not (study.paired("source", "garden-textures")["high"] < 0).any()


def test_the_lectures_table_is_that_of_the_helper():
    words = "\n".join(cell.source for cell in cells(LECTURE, "markdown"))
    assert all(f"| {row.related} | {row.far} |" in words and row.near == row.related for row in decision_table().itertuples())
