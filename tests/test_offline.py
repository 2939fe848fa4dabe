"""COURSE_OFFLINE and offline=True: whatever the library can fetch, it then opens no socket, and says what to do instead.

What can fetch is found in the source: a new function that can, and is not shown here to keep the promise, fails a test.
"""

import ast
import socket
from functools import cache

import pytest
from project import ROOT
from standins import fill_cache

import helpers
from helpers.data import downloads
from helpers.images.catalog import CARDS
from helpers.images.collecting import collect
from helpers.images.published import image_folder
from helpers.lessons.explorer import depth_table, draw_explorer, explore, try_setting
from helpers.lessons.explorer.prospects import prospect
from helpers.lessons.explorer.trials import Setting
from helpers.lessons.fine_tuning import range_test
from helpers.lessons.variants import plot_model_view, step_costs
from helpers.lessons.variants.diagrams import variant_table
from helpers.lessons.your_own_images import leak_study
from helpers.training.recipes import FEATURE_EXTRACTION, Recipe

NETWORK = {"requests", "urllib.request", "http", "socket", "ssl", "httpx", "aiohttp", "ftplib", "webbrowser", "subprocess",
           "pyinaturalist", "timm", "transformers", "huggingface_hub", "torch.hub"}  # fmt: skip
# The modules of helpers that use one of these, or let torchvision fetch: there are no other doors to the network.
DOORS = {"answers", "budget", "collecting", "downloads", "hfmodels", "hubfiles", "hubs", "inaturalist", "timmodels",
         "weightfiles"}  # fmt: skip

FOREIGN = Recipe("foreign", "resnet18", upto="layer4", steps=1)
SETTING = Setting("resnet18", "goldfinches")


def task():
    from fits import small_task

    return small_task()


def classifier_of_hugging_face(tmp_path):
    from safetensors.torch import save_file

    from helpers.training.classifier import _FORMAT

    about = {"format": _FORMAT, "classes": "[]", "size": "8", "mean": "[0]", "std": "[1]", "source": "hf:microsoft/resnet-18"}
    save_file({}, tmp_path / "mine.safetensors", about)
    return helpers.load_classifier(tmp_path / "mine.safetensors")


# Every public function from which a door can be reached, called so that it would have to fetch.
CALLS = {
    "open_task": lambda _: helpers.open_task("flowers102"),
    "load_backbone": lambda _: helpers.load_backbone("resnet18"),
    "collect": lambda folder: collect(folder),
    "load_classifier": classifier_of_hugging_face,
    "image_folder": lambda _: image_folder("hotdog"),
    "inspect_images": lambda _: helpers.inspect_images("hotdog"),
    "leak_study": lambda _: leak_study("hotdog", FEATURE_EXTRACTION, 1),
    "fit": lambda _: helpers.fit(FOREIGN, task()),
    "compare": lambda _: helpers.compare([FOREIGN], task(), seeds=1),
    "run_study": lambda _: helpers.run_study("?", [helpers.Case({"from": "foreign"}, FOREIGN, task())], seeds=1),
    "range_test": lambda _: range_test(FOREIGN, task(), steps=10),
    "step_costs": lambda _: step_costs([FOREIGN], task(), batch_size=4, rounds=1),
    "variant_table": lambda _: variant_table([FOREIGN], 3),
    "plot_model_view": lambda _: plot_model_view([FOREIGN], task(), 1000),
    "Setting": lambda _: Setting(task="flowers102").open(),
    "try_setting": lambda _: try_setting(SETTING),
    "prospect": lambda _: prospect(SETTING),
    "depth_table": lambda _: depth_table(SETTING),
    "draw_explorer": lambda _: draw_explorer(SETTING),
    "explore": lambda _: explore(SETTING),
}
# More ways into the same functions.
MORE = {
    "hotdog": lambda _: helpers.open_task("hotdog"),
    "goldfinch-photos": lambda _: helpers.open_task("goldfinch-photos"),
    "timm": lambda _: helpers.load_backbone("timm:resnet18.a1_in1k"),
    "hf": lambda _: helpers.load_backbone("hf:microsoft/resnet-18"),
    "hf, random": lambda _: helpers.load_backbone("hf:microsoft/resnet-18", None),
}
# Public functions that reach a door by their source, and never fetch.
HARMLESS = {
    "choose_budget": "asks one host, unless it is offline: tested below and in test_budget.py",
    "batchnorm_drift": "opens the source model that comes with the course",
    "Trial": "a setting that was run, and what came out",
    "trial_table": "shows trials that were run",
    "plot_trials": "shows trials that were run",
    "last_score": "shows the last score of a contest",
}


@pytest.fixture(autouse=True)
def closed(monkeypatch, tmp_path):
    """Empty caches, and a process that cannot open a socket; returns what tried to."""
    for name in ("COURSE_CACHE", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)
    opened, usual = [], socket.socket.__init__

    def refuse(self, family=-1, *args, **kwargs):
        if family in (-1, socket.AF_INET, socket.AF_INET6):
            opened.append(family)
            raise OSError("a socket was opened")
        usual(self, family, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "__init__", refuse)
    monkeypatch.setattr(downloads, "WAITS", (0,))
    yield opened
    monkeypatch.undo()


def test_socket_that_is_opened_in_these_tests_would_be_noticed(closed):
    with pytest.raises(downloads.Offline, match="cannot be fetched now"):
        helpers.open_task("hotdog")
    assert closed


@pytest.mark.parametrize("name", [*CALLS, *MORE])
def test_with_course_offline_nothing_opens_a_socket_and_the_message_says_what_to_do(name, closed, monkeypatch, tmp_path):
    for library, needed in (("timm", name == "timm"), ("transformers", name.startswith("hf") or name == "load_classifier")):
        if needed:
            pytest.importorskip(library)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    with pytest.raises(downloads.Offline) as refused:
        (CALLS | MORE)[name](tmp_path)
    said = str(refused.value)
    assert not closed and "COURSE_OFFLINE forbids it" in said
    assert "Wanted: " in said or "By hand: " in said, "where it goes"
    assert "load_backbone('garden')" in said or "open_task(" in said, "what works without a network"


@pytest.mark.parametrize("name", [card.name for card in CARDS.values() if not card.embedded])
def test_open_task_offline_opens_no_socket_without_the_variable_either(name, closed):
    with pytest.raises(downloads.Offline, match="offline=True"):
        helpers.open_task(name, offline=True)
    assert not closed


def test_load_backbone_offline_opens_no_socket_without_the_variable_either(closed):
    with pytest.raises(downloads.Offline, match="offline=True"):
        helpers.load_backbone("resnet18", offline=True)
    assert not closed


def test_argument_cannot_allow_what_the_variable_forbids(closed, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "yes")
    with pytest.raises(downloads.Offline):
        helpers.open_task("hotdog", offline=False)
    assert not closed


def test_full_budget_opens_no_socket_with_course_offline(closed, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert helpers.choose_budget("full").imagenet is None and not closed


def test_what_a_message_names_instead_works_without_a_network(closed, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setenv("COURSE_RUN", "smoke")  # few images
    monkeypatch.chdir(tmp_path)
    calls = {card.instead for card in CARDS.values() if not card.embedded} | {"load_backbone('garden')"}
    for call in calls:
        assert eval(call, {name: getattr(helpers, name) for name in helpers.__all__}), call
    assert len(calls) >= 3 and not closed


def test_what_is_in_the_caches_opens_without_a_socket(closed, tmp_path, monkeypatch):
    fill_cache(tmp_path / "COURSE_CACHE", "hotdog", train=8, test=1)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert len(helpers.open_task("hotdog", 2, size=8).test) == 2 and not closed


# What can fetch, found in the source


def modules():
    for path in sorted((ROOT / "helpers").rglob("*.py")):
        yield ".".join(path.relative_to(ROOT / "helpers").with_suffix("").parts), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree):
    """{name in this module: (helper module, its name there, None for the module itself) or ("network", library)}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            package, _, below = (node.module or "").partition(".")
            for alias in node.names:
                own = alias.asname or alias.name
                if package == "helpers":
                    names[own] = (below, alias.name) if below else (alias.name, None)
                elif {package, node.module, f"{node.module}.{alias.name}"} & NETWORK:
                    names[own] = ("network", alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if {alias.name, alias.name.partition(".")[0]} & NETWORK:
                    names[(alias.asname or alias.name).partition(".")[0]] = ("network", alias.name)
    return names


def used(node, names, own, module):
    """What the code below a node mentions, as in `imported`."""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute):
            if ast.unparse(part.value) == "torch.hub" and part.attr != "get_dir":
                yield "network", "torch.hub"
            elif isinstance(part.value, ast.Name) and names.get(part.value.id, ("", ""))[1] is None:
                yield names[part.value.id][0], part.attr
        elif isinstance(part, ast.Name):
            if part.id in own:
                yield module, part.id
            elif names.get(part.id, ("", None))[1]:
                yield names[part.id]
        elif isinstance(part, ast.Constant) and part.value in NETWORK:  # import_module("timm")
            yield "network", part.value
        elif isinstance(part, ast.Call) and ast.unparse(part.func).endswith("get_model"):
            weights = [option.value for option in part.keywords if option.arg == "weights"]
            if weights and not (isinstance(weights[0], ast.Constant) and weights[0].value is None):
                yield "network", "torchvision"


@cache
def uses():
    """{(module, function or class or variable): what its code mentions}."""
    found = {}
    for module, tree in modules():
        names, parts = imported(tree), []
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                parts.append((node.name, node))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = getattr(node, "targets", None) or [node.target]
                parts += [(target.id, node) for target in targets if isinstance(target, ast.Name)]
        own = {name for name, _ in parts}
        found |= {(module, name): {*used(node, names, own, module)} - {(module, name)} for name, node in parts}
    return found


def doors():
    return {place for place, mentioned in uses().items() if any(module == "network" for module, _ in mentioned)}


def test_doors_to_the_network_are_these_modules_and_no_others():
    assert {module for module, _ in doors()} == DOORS


def test_every_public_function_that_can_fetch_is_shown_above_to_keep_the_promise():
    reached = doors()
    while more := {place for place, mentioned in uses().items() if mentioned & reached} - reached:
        reached |= more
    public = {name for module, name in reached if helpers._MODULE.get(name) == module}
    assert public == CALLS.keys() | HARMLESS.keys()
