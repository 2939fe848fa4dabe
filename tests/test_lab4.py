"""Lab 4, the bug museum: its exhibits are the bugs that its checks reject, and no check of any lab lets a bug through."""

import ast
import copy
import warnings
from functools import cache
from importlib import import_module
from itertools import chain

import pytest
import torch
from answers import cells, imports, judged
from answers.lab4_bug_museum import BATCH_MEANS, BUILT_FIRST, LIVE, NEW_HEAD
from project import ROOT
from torch.nn import functional as F

import helpers as h
from helpers.lessons.museum import batches, bill, bills, features_at, points_lost, predict, what_changed
from helpers.notebook.checking import CHECKS

LAB = "lab4_bug_museum"


def verdict(name, answer):
    return judged(name, answer)[0]


@cache
def functions():
    """Every function that the solution defines, by its name."""
    nodes = [node for source in cells(LAB) for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    names = dict(imports(LAB))
    exec(compile(ast.Module(nodes, []), LAB, "exec"), names)
    return {node.name: names[node.name] for node in nodes}


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
    "exhibit_9": ("norm_at_rest", "averages move"),
    "exhibit_10": ("logits_come_out", "probabilities"),
    "exhibit_last": ("three_bugs_fixed", "head never trained"),
}


def test_every_exhibit_of_the_notebook_is_shown_to_a_check():
    assert [name for name in functions() if name.startswith("exhibit_")] == list(FOUND)


@pytest.mark.parametrize("exhibit", FOUND)
def test_exhibit_is_rejected_by_its_check_for_what_it_is(exhibit):
    name, finding = FOUND[exhibit]
    assert verdict(name, functions()[exhibit]).finding == finding


def test_last_exhibit_runs_without_a_warning_and_holds_three_bugs_no_more():
    """With one of them fixed, it is rejected for the next; with all three fixed, it passes."""
    model, pictures, labels = h.GardenNet(20, width=8), torch.randn(24, 3, 32, 32), torch.arange(24) % 3
    with warnings.catch_warnings(action="error"):
        _, reported = functions()["exhibit_last"](model, (pictures, labels), (pictures, labels), 3, steps=2)
    assert 0 <= reported <= 1
    order = [BUILT_FIRST + LIVE + BATCH_MEANS, LIVE + BATCH_MEANS, BATCH_MEANS, []]
    found = [verdict("three_bugs_fixed", bugs).finding for bugs in order]
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

    study = bill(task, 3, fixed=version(0), exhibit=version(8))
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


def test_the_bills_say_of_rooms_3_and_8_to_10_what_the_lab_says_of_them():
    study = h.load_study("museum")
    costs = {room: [points_lost(study.select(task=task, room=room))[1] > 0 for task in ("flowers", "goldfinches")]
             for room in study.runs.room.unique()}  # fmt: skip
    assert all(costs["9 BatchNorm alive, five images a class"] + costs["10 a softmax behind the head, SGD"])
    assert not any(costs["9 BatchNorm alive in the last block only"] + costs["10 a softmax behind the head, AdamW"])
    _, low, high = points_lost(study.select(task="flowers", room="8 one rate for all"))
    assert low > 0, "on the flowers the bug costs"
    _, low, high = points_lost(study.select(task="goldfinches", room="8 one rate for all"))
    assert high < 0, "on the goldfinches it gains"
    for task in ("flowers", "goldfinches"):
        points, low, high = points_lost(study.select(task=task, room="3 the label on the layer"))
        assert low <= 0.05 and points < 2


# No check of any lab passes an answer with a bug of the museum. For each bug, the checks whose answers can have it: a finding
# in tests/answers, whose answer test_checks.py shows to the check, or the solution with this text replaced.

SOFTMAX = "model.fc = nn.Sequential(nn.Linear(model.fc.in_features, num_classes), nn.Softmax(dim=1))"
BUGS = {
    "live BatchNorm": {
        "body_frozen": "buffers move",
        "epoch_trains": "mode changed",
        "helpers_used": "buffers move",
        "network_saved": "buffers missing",
        "passes_trained": "BatchNorm live",
        "all_saved": "buffers missing",
        "lamp_shows_all": "buffers missed",
        "backbone_at_rest": "buffers move",
        "norm_at_rest": "averages move",
        "three_bugs_fixed": "frozen part lives",
    },
    "judged in training mode": {
        "accuracy_counted": "judged in training mode",
        "contest": "depends on its neighbours",
        "evidence_mapped": "training mode",
        "pixels_go_in": ("self.network(", "self.network.train()("),
        "judged_at_rest": "train mode",
        "three_bugs_fixed": "another accuracy",
    },
    "label changed": {
        "head_renewed": "old width",
        "helpers_used": ("h.swap_head(model, num_classes)", "model.classifier.out_features = num_classes"),
        "contest": "wrong classes",
        "head_started": "no new head",
        "layer_replaced": "wrong number of outputs",
        "head_let_go": "wrong number of outputs",
        "optimizer_knows_head": "wrong number of outputs",
        "logits_come_out": "wrong number of outputs",
        "three_bugs_fixed": "wrong number of outputs",
    },
    "head frozen": {
        "body_frozen": "head frozen",
        "helpers_used": "head frozen",
        "backbone_at_rest": "head frozen",
        "head_let_go": "head frozen",
        "optimizer_knows_head": ("lr=lr)", "lr=lr)\nmodel.fc.requires_grad_(False)"),
        "three_bugs_fixed": ("images, labels = train", "model.fc.requires_grad_(False)\nimages, labels = train"),
    },
    "mean of batches": {
        "accuracy_counted": "mean of batches",
        "every_image_counts": "mean of batch accuracies",
        "three_bugs_fixed": "mean of batch accuracies",
    },
    "other preprocessing": {
        "transforms_made": "another mean and std",
        "pictures_transformed": "not normalised",
        "folder_loaded": "no transform",
        "all_saved": "preprocessing lost",
        "upload_answered": "another preprocessing",
        "pixels_go_in": "not normalised",
        "inputs_comparable": "raw pixels",
    },
    "stale optimizer": {
        "groups_made": "another network's",
        "stages_thawed": "thawed in no group",
        "optimizer_knows_head": "head not in the optimizer",
        "three_bugs_fixed": BUILT_FIRST,
    },
    "softmax behind the head": {
        **dict.fromkeys(["layer_replaced", "head_let_go", "optimizer_knows_head", "three_bugs_fixed"], (NEW_HEAD, SOFTMAX)),
        "logits_come_out": "probabilities",
    },
    "one rate for all": {
        "groups_made": "one rate for all", "stages_thawed": "head's rate for all", "rates_kept": "rates overwritten",
    },
}
ELSEWHERE = {  # formulas, choices, files and folders, and which weights are kept: nothing that a room is about
    "difference_paired", "folders_opened", "loaders_made", "chosen_by_validation", "threshold_chosen", "temperature_fitted",
    "stopped_in_time", "presses_known", "same_picture_recognised", "twins_on_one_side", "share_possible",
}  # fmt: skip


def test_every_check_of_every_lab_is_compared_with_the_museum_and_every_bug_is_tried_on_two_at_least():
    mine, tried = {name for name, one in CHECKS.items() if one.lab.startswith("lab")}, {*chain(*BUGS.values())}
    assert mine == tried | ELSEWHERE and not tried & ELSEWHERE
    assert all(len(checks) >= 2 for checks in BUGS.values())


@pytest.mark.parametrize("bug, name", [pytest.param(bug, name, id=f"{name}: {bug}") for bug in BUGS for name in BUGS[bug]])
def test_no_check_passes_an_answer_with_a_bug_of_the_museum(bug, name):
    answer = BUGS[bug][name]
    if isinstance(answer, str):
        assert answer in import_module(f"answers.{CHECKS[name].lab}").WRONG[name]
    else:
        assert verdict(name, answer).finding not in ("", "raises an exception", "still blank", "takes too long")
