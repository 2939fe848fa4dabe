"""Lab 4, the bug museum: its exhibits are the bugs that its checks reject, and no check of any lab lets a bug through."""

import ast
import copy
import warnings
from dataclasses import replace
from importlib import import_module

import nbformat
import pytest
import torch
from answers import call
from answers import lab1_flowers as lab1
from answers import lab3_your_own_images as lab3
from answers import lab4_bug_museum as lab4
from project import ROOT
from torch import nn
from torch.nn import functional as F

import helpers as h
from helpers import check
from helpers.lessons.museum import bills
from helpers.lessons.museum.rooms import batches, bill, features_at, points_lost, predict, what_changed
from helpers.notebook.checking import _CHECKS, Check

dir(check)  # loads the checklists
NOTEBOOK = nbformat.read(ROOT / "solutions/lab4_bug_museum.ipynb", as_version=4)
CODE = [cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code"]


def verdict(name, *answer, **settings):
    one = _CHECKS[name]
    return Check(one.lab, one.function, one.seconds).judge(*answer, **settings)


def functions():
    """Every function that the solution defines, by its name."""
    found = {"torch": torch, "nn": nn, "F": F, "h": h, "copy": copy}
    for source in CODE:
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef):
                exec(compile(ast.Module([node], []), node.name, "exec"), found)
    return found


# The exhibits


FOUND = {
    "exhibit_1": ("backbone_at_rest", "buffers move"),
    "exhibit_2": ("judged_at_rest", "train mode"),
    "exhibit_3": ("layer_replaced", "wrong number of outputs"),
    "exhibit_4": ("head_let_go", "head frozen"),
    "exhibit_5": ("every_image_counts", "mean of batch accuracies"),
    "exhibit_6": ("inputs_comparable", "raw pixels"),
    "exhibit_7": ("optimizer_knows_head", "head not in the optimizer"),
    "exhibit_8": ("rates_kept", "rates overwritten"),
    "exhibit_9": ("three_bugs_mended", "head never trained"),
}


def test_every_exhibit_of_the_notebook_is_shown_to_a_check():
    assert [name for name in functions() if name.startswith("exhibit_")] == list(FOUND)


@pytest.mark.parametrize("exhibit", FOUND)
def test_exhibit_is_rejected_by_its_check_for_what_it_is(exhibit):
    name, finding = FOUND[exhibit]
    assert verdict(name, functions()[exhibit]).finding == finding


def test_last_exhibit_runs_without_a_warning_and_holds_three_bugs_no_more():
    """Mended of one, it is rejected for the next; mended of all three, it passes: see the answers of this lab."""
    model, pictures, labels = h.GardenNet(20, width=8), torch.randn(24, 3, 32, 32), torch.arange(24) % 3
    with warnings.catch_warnings(action="error"):
        _, reported = functions()["exhibit_9"](model, (pictures, labels), (pictures, labels), 3, steps=2)
    assert 0 <= reported <= 1
    order = [dict(build_first=True, awake=True, batch_means=True), dict(awake=True, batch_means=True), dict(batch_means=True), {}]
    found = [verdict("three_bugs_mended", lab4.adapting(**bugs)).finding for bugs in order]
    assert found == ["head never trained", "frozen part lives", "mean of batch accuracies", ""]


def test_the_number_of_the_fifth_room_is_that_of_its_batches():
    exhibit, possible = functions()["exhibit_5"], functions()["possible"]
    batches = [(F.one_hot(torch.arange(size) // right, 3)[:, :2].float(), torch.zeros(size, dtype=torch.int64))
               for right, size in ((28, 32), (28, 32), (9, 11))]  # fmt: skip
    assert f"{exhibit(batches):.4f}" == "0.8561" and f"{65 / 75:.4f}" == "0.8667"
    assert possible(0.8667, 75) and not possible(0.8561, 75)


# The museum's own instruments


def test_batches_show_every_image_once_a_round_and_another_order_in_the_next():
    rows = batches(10, 4, steps=6, seed=3)
    assert [len(one) for one in rows] == [4, 4, 2, 4, 4, 2]
    rounds = torch.cat(rows[:3]), torch.cat(rows[3:])
    assert all(one.sort().values.tolist() == list(range(10)) for one in rounds)
    assert not torch.equal(*rounds)
    assert all(torch.equal(a, b) for a, b in zip(rows, batches(10, 4, steps=6, seed=3), strict=True))
    with pytest.raises(ValueError, match="1 or more"):
        batches(0, 4, steps=1)


def test_features_and_answers_are_those_at_rest_and_leave_modes_and_tensors_as_they_were():
    model = h.GardenNet(5, width=8).train()
    model.layer1.eval()
    pictures, modes = torch.randn(7, 3, 32, 32), [module.training for module in model.modules()]
    answers = []
    looks = lambda: answers.extend([features_at(model, pictures), predict(model, pictures)])
    assert what_changed(model, looks) == []
    assert [module.training for module in model.modules()] == modes
    rest = copy.deepcopy(model).eval()
    assert torch.allclose(rest.fc(answers[0]), rest(pictures), atol=1e-6)
    assert torch.equal(answers[1], rest(pictures).argmax(1))


def test_a_bill_compares_on_the_same_images_and_loses_what_the_exhibit_lacks():
    task = h.open_task("goldfinches", per_class=3, size=32, val=2, test=10)
    seen = []

    def version(wrong):
        def run(drawn, seed):
            seen.append((seed, drawn.train.index.tolist()))
            labels = drawn.test.labels.clone()
            labels[: wrong + seed] += 1
            return labels

        return run

    study = bill(task, 3, mended=version(0), exhibit=version(8))
    points, low, high = points_lost(study)
    assert points == pytest.approx(20) and low <= points <= high
    assert seen[0] == seen[1] and seen[2] == seen[3] and seen[0][1] != seen[2][1]


def as_markdown(table):
    """The bills as the instructor's page has them."""
    head = f"| room | {' | '.join(table.columns)} |\n|---|{'---|' * len(table.columns)}\n"
    return head + "".join(f"| {room} | {' | '.join(row)} |\n" for room, row in zip(table.index, table.values, strict=True))


def test_the_bills_on_the_instructors_page_are_those_of_the_study():
    page = (ROOT / "docs/instructors/lab4_bug_museum.md").read_text(encoding="utf-8")
    assert as_markdown(bills()) in page, "put as_markdown(bills()) between the marks"


def test_the_bills_say_of_rooms_3_and_8_what_the_lab_says_of_them():
    study = h.load_study("museum")
    _, low, high = points_lost(study.select(task="flowers", room="8 one rate for all"))
    assert low > 0, "on the flowers the bug costs"
    _, low, high = points_lost(study.select(task="goldfinches", room="8 one rate for all"))
    assert high < 0, "on the goldfinches it gains"
    for task in ("flowers", "goldfinches"):
        points, low, high = points_lost(study.select(task=task, room="3 the label on the layer"))
        assert low <= 0.05 and points < 2


# No check of any lab passes an answer with a bug of the museum. A row a check that judges a network, its training or its
# evaluation; under each bug the answer that has it: a case of tests/answers, or one made here. Where a bug cannot be in an
# answer, the row says why.


BUGS = ("live BatchNorm", "judged awake", "label changed", "head frozen", "mean of batches", "other preprocessing",
        "stale optimizer", "one rate for all")  # fmt: skip


def recipes(**other):
    """The pair that lab 1 asks for, of which one differs in more than it should."""
    transfer = replace(h.FEATURE_EXTRACTION, source="garden")
    return lambda: call(lambda source: (replace(transfer, name="random features", copied=0, **other), transfer))


def relabelled_by_helpers(classes):
    model = lab1.with_helpers(swap=False)(classes)
    model.fc.out_features = classes
    return model


def frozen_after(model, classes, lr):
    model, optimizer = lab4.swap_then_build(model, classes, lr)
    model.fc.requires_grad_(False)
    return model, optimizer


def awake_front():
    prepared = lambda self, images: (images.float() / 255 - self.mean) / self.std
    return call(lab3.front(lambda self, images: self.network.train()(prepared(self, images))))


def row(otherwise, **cases):
    """{bug: case or reason} for all bugs; the keys of `cases` are bugs with _ for blanks."""
    cases = {bug.replace("_", " ").replace("batchnorm", "BatchNorm"): case for bug, case in cases.items()}
    assert set(cases) <= set(BUGS), cases
    return {bug: cases.get(bug, ("does not apply", otherwise)) for bug in BUGS}


READY = "gets network, head and data ready-made and does this one thing with them"
TABLE = {
    # lab 1
    "head_renewed": row("makes a layer; freezing, training and judging come later", label_changed="a label changed"),
    "body_frozen": row(READY, live_batchnorm="training mode", head_frozen="frozen with the head"),
    "optimizer_made": row(READY + "; one rate, no schedule", stale_optimizer="made for the model before the swap"),
    "step_trains": row(READY, live_batchnorm="train() in each step"),
    "accuracy_counted": row(
        "judges a network that is trained already",
        judged_awake="in training mode", mean_of_batches="the mean of batches", other_preprocessing="pixels from 0 to 1",
    ),  # fmt: skip
    "helpers_used": row(
        "makes a network; no images, optimizer or evaluation in it",
        live_batchnorm="frozen by hand", label_changed=lambda: call(relabelled_by_helpers), head_frozen="the head frozen too",
    ),  # fmt: skip
    "pair_is_fair": row(
        "recipes are run by `fit`, which swaps, freezes, builds and judges by itself",
        live_batchnorm=recipes(batchnorm="live"), other_preprocessing=recipes(preprocessing="none"),
        one_rate_for_all=recipes(decay=0.5),
    ),  # fmt: skip
    "contest": row(
        "is judged by the check, on pictures that the answer never sees: a bug in training costs the answer its points",
        judged_awake="normalised by the batch", label_changed="the source's classes",
    ),  # fmt: skip
    # lab 2
    "compared_over_seeds": row("calls `fit`, which trains and judges by itself", other_preprocessing="drawn for each recipe"),
    "evidence_mapped": row("looks into a network that is trained already", judged_awake="live BatchNorm"),
    # lab 3
    "advice_taken": row(
        "asks which recipe to try; `fit` does the rest", live_batchnorm="live BatchNorm", other_preprocessing="raw pixels"
    ),
    "all_saved": row(
        "writes a trained network to a file", live_batchnorm="parameters", other_preprocessing="no preprocessing"
    ),
    "upload_answered": row("asks a classifier, which rests by itself, for one answer", other_preprocessing="squeezed"),
    "pixels_go_in": row(
        "joins preprocessing and a trained network, without a batch loop", judged_awake=awake_front, other_preprocessing="no mean"
    ),
    # lab 4
    "lamp_shows_all": row("looks at tensors, whatever changes them", live_batchnorm="parameters only"),
    "backbone_at_rest": row("sets modes and nothing else", live_batchnorm="live BatchNorm", head_frozen="head frozen, too"),
    "judged_at_rest": row("answers image by image; nothing is trained or averaged", judged_awake="train mode"),
    "layer_replaced": row("makes a layer; freezing and training come later", label_changed="label changed"),
    "head_let_go": row(
        "says what trains; the check sets the modes and builds the optimizer itself",
        head_frozen="frozen after the swap", label_changed="label changed",
    ),  # fmt: skip
    "every_image_counts": row("gets logits, whoever made them", mean_of_batches="mean of batches"),
    "inputs_comparable": row("prepares images; no network takes part", other_preprocessing="one of them raw"),
    "optimizer_knows_head": row(
        "makes head and optimizer; the check makes the steps, at rest",
        stale_optimizer="built before the swap", label_changed="label changed", head_frozen=lambda: call(frozen_after),
    ),  # fmt: skip
    "rates_kept": row("makes a schedule; no network takes part", one_rate_for_all="one peak for all"),
    "three_bugs_mended": row(
        "takes images as they are, at one rate",
        live_batchnorm="live BatchNorm", judged_awake="judged in training mode", label_changed="label changed",
        head_frozen=lambda: call(lab4.adapting(head_rests=True)), mean_of_batches="mean of batches",
        stale_optimizer=lambda: call(lab4.adapting(build_first=True)),
    ),  # fmt: skip
}
ELSEWHERE = {  # these checks judge no network, no training and no evaluation
    "difference_paired": "a formula for two rows of right and wrong",
    "confusion_found": "counts in a table",
    "chosen_by_validation": "a choice from a table",
    "confusion_named": "counts in a table",
    "sureness_measured": "a formula for given logits",
    "threshold_chosen": "a quantile of given numbers",
    "strangers_told_apart": "a formula for given numbers",
    "temperature_fitted": "a number fitted to given logits",
    "calibration_measured": "a formula for given logits",
    "images_counted": "files in folders",
    "baseline_known": "a share of counts",
    "odd_files_found": "files in folders",
    "same_picture_recognised": "a fingerprint of a picture",
    "twins_on_one_side": "files dealt to two sides",
    "share_possible": "a share and a count",
}


def test_every_check_of_every_lab_is_held_against_the_museum():
    mine = {name for name, one in _CHECKS.items() if one.lab.startswith("lab")}
    assert mine == TABLE.keys() | ELSEWHERE.keys() and not TABLE.keys() & ELSEWHERE.keys()


def test_every_bug_of_the_museum_is_tried_on_two_checks_at_least():
    tried = {bug: [name for name, cases in TABLE.items() if not isinstance(cases[bug], tuple)] for bug in BUGS}
    assert all(len(names) >= 2 for names in tried.values()), tried


@pytest.mark.parametrize(
    "name, bug", [pytest.param(name, bug, id=f"{name}: {bug}") for name, cases in TABLE.items() for bug in BUGS
                  if not isinstance(cases[bug], tuple)]
)  # fmt: skip
def test_no_check_passes_an_answer_with_a_bug_of_the_museum(name, bug):
    case = TABLE[name][bug]
    if isinstance(case, str):
        _, case = import_module(f"answers.{_CHECKS[name].lab}").WRONG[name][case]
    answer, settings = case()
    said = verdict(name, *answer, **settings)
    assert not said.passed
    assert said.finding not in ("raises an exception", "still blank", "takes too long"), said
