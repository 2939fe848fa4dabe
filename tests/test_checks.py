"""The labs' checks: they pass right answers, and give every typical wrong one its own hint instead of a traceback.

The answers are in tests/answers/, a module a lab.
"""

import ast
import copy
import inspect
import re
import signal
import time
import tomllib
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch
from answers import arguments, judged
from project import ROOT
from torch import nn

from helpers import freeze
from helpers.lessons.probes import changes, logits_of, network, only_the_head_trains
from helpers.notebook.checking import CHECKS, Check, Checks, checked
from helpers.notebook.findings import Finding, answer_of, hints, number, tensor
from helpers.notebook.timelimit import TimeIsUp, time_limit

LABS = sorted(path.stem for path in (ROOT / "solutions").glob("lab*.ipynb"))
ANSWERS = {lab: import_module(f"answers.{lab}") for lab in LABS}
ALL = {name: one for name, one in CHECKS.items() if one.lab in LABS}
RIGHT = {name: {"the solution": []} | ANSWERS[one.lab].RIGHT.get(name, {}) for name, one in ALL.items()}
WRONG = {name: ANSWERS[one.lab].WRONG[name] for name, one in ALL.items()}  # KeyError: a check without typical wrong answers


def cases(answers: dict):
    return [pytest.param(name, case, one, id=f"{name}: {case}") for name, own in answers.items() for case, one in own.items()]


def test_every_check_tells_what_it_asks_and_has_three_typical_wrong_answers():
    assert all(inspect.getdoc(one.function) for one in ALL.values()), "the first line of the docstring is shown"
    assert all(len(wrong) >= 3 for wrong in WRONG.values())
    assert not [name for answers in ANSWERS.values() for name in {*answers.RIGHT, *answers.WRONG} - {*ALL}]


@pytest.mark.parametrize("name, case, answer", cases(RIGHT))
def test_right_answers_pass(name, case, answer):
    (verdict,) = judged(name, answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize("name, finding, answer", cases(WRONG))
def test_a_typical_wrong_answer_gets_its_own_hint_and_the_next_time_another(name, finding, answer):
    first, second = judged(name, answer, times=2)
    assert (first.passed, first.finding, second.finding) == (False, finding, finding), first
    assert first.seen and first.expected and first.hint[1] != second.hint[1]


# The texts of the findings


FOLDERS = ["notebook", "lessons", *(f"lessons/{name}" for name in ("flowers", "goldfinches", "your_own_images", "museum"))]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_finding_has_its_hints_and_all_hints_belong_to_a_finding(folder):
    """Findings are made by their names, found("..."), so names that are misspelt, and hints that nobody shows, are seen here."""
    path = ROOT / "helpers" / folder / "hints.toml"
    hints(path)  # raises if one has less than two hints
    texts = tomllib.loads(path.read_text(encoding="utf-8"))
    trees = [ast.walk(ast.parse(file.read_text(encoding="utf-8"))) for file in path.parent.glob("*.py")]
    nodes = [node for tree in trees for node in tree]
    calls = [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("found", "_found")]
    asked = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    assert asked and asked <= texts.keys()
    assert texts.keys() <= {node.value for node in nodes if isinstance(node, ast.Constant)}, "hints that no check gives"


@pytest.mark.parametrize(
    "text, words",
    [
        ('[x]\nexpected = "a"\nhints = ["one"]', "'x': give two hints"),
        ('[x]\nhints = ["one", "two"]', "'x': a finding has `expected` and `hints`, got hints"),
    ],
)
def test_a_finding_without_a_second_hint_or_an_expectation_is_refused(tmp_path, text, words):
    (tmp_path / "hints.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        hints(tmp_path / "hints.toml")


@pytest.mark.parametrize("name", ALL)
def test_different_mistakes_get_different_hints(name):
    folder = Path(inspect.getfile(ALL[name].function)).parent
    files = [ROOT / "helpers/notebook/hints.toml", ROOT / "helpers/lessons/hints.toml", folder / "hints.toml"]
    texts = {}
    for file in files:  # those of the lab last: its words come before the common ones
        texts |= tomllib.loads(file.read_text(encoding="utf-8"))
    first = [texts[finding]["hints"][0] for finding in WRONG[name]]
    assert len(set(first)) == len(first), first


# What can go wrong in anybody's code, put in place of a right answer.


def raising(*_, **__):
    raise ZeroDivisionError("division by zero")


def endless(*_, **__):
    while True:
        time.sleep(0.01)


def nothing(*_, **__):
    return None


def blank(*_, **__):
    raise NotImplementedError("This part is yours: replace these two lines by your code.")


SPOILT = {"raises": raising, "loops for ever": endless, "returns None": nothing, "is blank": blank, "is a text": "a network"}


@pytest.mark.parametrize("name", ALL)
def test_whatever_goes_wrong_in_an_answer_gives_a_hint_and_no_traceback(name):
    args, settings = arguments(name, RIGHT[name]["the solution"])
    for why, bad in SPOILT.items():
        verdict = Check("", ALL[name].function, 0.7).judge(bad, *args[1:], **settings)
        assert not verdict.passed, f"an answer that {why} passes"
        assert verdict.seen and verdict.expected and verdict.hint[1], why


# The frame around the checks.


@checked("nowhere", seconds=1)
def adds_up(function):
    """The function adds."""
    if answer_of(function, 1, 2) != 3:
        raise Finding("wrong sum", seen="another sum", expected="3", hints=("Count.", "Use your fingers."))
    return "well added"


@pytest.fixture
def one():
    return Check("nowhere", adds_up.function, 0.5)


def test_each_kind_of_failure_has_hints_of_its_own_and_the_last_one_stays(one):
    hints = [one.judge(lambda a, b: 4).hint for _ in range(3)]
    assert hints == [("hint 1 of 2", "Count."), ("hint 2 of 2", "Use your fingers."), ("hint 2 of 2", "Use your fingers.")]
    others = [nothing, raising, lambda a, b: a.nowhere]
    assert {one.judge(other).hint[0] for other in others} == {"hint 1 of 2"}, "another exception is another kind"


def test_an_exception_is_shown_with_the_students_own_line_also_from_inside_a_library(one):
    def mine(a, b):
        layer = nn.Linear(3, 4)
        return layer(torch.zeros(1, 5))

    verdict = one.judge(mine)
    assert "RuntimeError" in verdict.seen and "return layer(torch.zeros(1, 5))" in verdict.seen
    assert "number of features" in verdict.hint[1]


def test_what_a_library_does_not_support_is_no_blank(one):
    assert one.judge(lambda a, b: torch.tensor([True]) - torch.tensor([True])).finding == "raises an exception"
    assert one.judge(blank).finding == "still blank"


def test_an_endless_loop_ends_with_the_time_limit_even_if_it_swallows_interrupts_once(one):
    def stubborn(a, b):
        try:
            endless()
        except KeyboardInterrupt:
            endless()

    for loop in (endless, stubborn):
        start = time.monotonic()
        assert one.judge(loop).finding == "takes too long"
        assert time.monotonic() - start < 5


def test_the_stop_button_still_stops_a_check(one):
    def interrupted(a, b):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.judge(interrupted)


def test_a_time_limit_that_is_not_reached_leaves_no_trace_and_one_works_where_interrupts_are_ignored():
    with time_limit(0.2):
        pass
    time.sleep(0.3)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(TimeIsUp), time_limit(0.05):
            endless()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_check_leaves_the_students_random_numbers_alone(one):
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    one.judge(lambda a, b: torch.rand(1).item() and 3)
    assert torch.equal(torch.rand(2), wanted)


def test_verdicts_are_text_and_escaped_html_told_apart_by_word_and_sign_and_not_by_colour_alone(one, capsys):
    verdict = one.judge(lambda a, b: a.__class__("<b>"))
    assert "<b>" in repr(verdict) and "&lt;b&gt;" in verdict._repr_html_()
    plain = re.sub(r"<[^>]*>", "", verdict._repr_html_())
    assert "✘ not yet: adds_up" in repr(verdict) and "✘ not yet: adds_up" in plain
    one(lambda a, b: 3)
    assert "✔ passed: adds_up" in capsys.readouterr().out


def test_a_wrong_call_and_an_unknown_check_are_named_with_what_is_missing(one):
    with pytest.raises(TypeError, match="function"):
        one()
    with pytest.raises(AttributeError, match="adds_up"):
        Checks({"nowhere": __name__}).adds_upp  # noqa: B018


def test_under_nbgrader_a_wrong_answer_raises_and_a_right_one_does_not(one, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    one(lambda a, b: 3)
    with pytest.raises(AssertionError, match="another sum"):
        one(lambda a, b: 4)


def test_the_tally_counts_what_passed_and_names_what_is_open(capsys):
    lab, check = adds_up.lab, Checks({adds_up.lab: __name__})
    adds_up.passed = None
    check.tally(lab)
    assert f"{lab}: 0 of 1 checks passed; open: adds_up (not tried)" in capsys.readouterr().out
    adds_up(lambda a, b: 4)
    check.tally(lab)
    assert f"{lab}: 0 of 1 checks passed; open: adds_up\n" in capsys.readouterr().out
    adds_up(lambda a, b: 3)
    check.tally(lab)
    assert capsys.readouterr().out.endswith(f"{lab}: 1 of 1 checks passed\n")
    with pytest.raises(ValueError, match=lab):
        check.tally("lab99")


LOGITS = partial(tensor, what="the logits", shape=(None, 3), dtype=torch.float32, device="cpu")
SHARE = partial(number, what="the accuracy", low=0, high=1)


@pytest.mark.parametrize(
    "ask, value, finding",
    [
        (LOGITS, [1.0], "not a tensor"),
        (LOGITS, torch.zeros(3), "wrong shape"),
        (LOGITS, torch.zeros(2, 3, dtype=torch.int64), "wrong dtype"),
        (LOGITS, torch.tensor([[0.0, float("nan"), 1.0]] * 2), "not finite"),
        (LOGITS, torch.zeros(2, 3, device="meta"), "wrong device"),
        (SHARE, "1", "not one number"),
        (SHARE, True, "not one number"),
        (SHARE, float("nan"), "not finite"),
        (SHARE, 2, "out of range"),
    ],
)
def test_tensors_and_numbers_are_asked_for_all_that_can_be_wrong_with_them(ask, value, finding):
    with pytest.raises(Finding) as raised:
        ask(value)
    assert raised.value.name == finding and ask.keywords["what"] in raised.value.seen


def test_a_number_may_be_a_tensor_of_one_value():
    assert SHARE(torch.tensor(0.5)) == 0.5


# The probes: what a network does in a real training step.


def frozen(by_helper: bool):
    """A network whose head alone has requires_grad; its BatchNorm is held in evaluation mode only by the helper."""
    model = network(4)
    if by_helper:
        return freeze(model, -1)
    model.requires_grad_(False).fc.requires_grad_(True)
    return model


@pytest.mark.parametrize(
    "probe, model, finding",
    [
        (lambda model: logits_of(model, 4), network(10), "wrong number of outputs"),
        (only_the_head_trains, network(4), "parameters move"),
        (only_the_head_trains, frozen(by_helper=False), "buffers move"),
        (only_the_head_trains, network(4).requires_grad_(False), "head frozen"),
    ],
)
def test_probes_find_what_is_wrong_and_leave_the_network_as_it_was(probe, model, finding):
    before = copy.deepcopy(model)
    with pytest.raises(Finding) as raised:
        probe(model)
    assert raised.value.name == finding
    assert not changes(model, before.state_dict())
    assert [module.training for module in model.modules()] == [module.training for module in before.modules()]
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in before.parameters()]


def test_probes_are_content_with_a_frozen_network_whose_head_trains():
    model = frozen(by_helper=True)
    logits_of(model, 4)
    only_the_head_trains(model)
