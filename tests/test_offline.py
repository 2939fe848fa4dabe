"""COURSE_OFFLINE and offline=True: whatever the library can fetch, it then opens no socket, and says what to do instead.

What can fetch is found in the source: a new function that can, and is not shown here to keep the promise, fails a test.
"""

import ast
import socket
from functools import cache

import pytest
from project import ROOT
from short.short_course import shorten
from standins import fill_cache

import helpers
from helpers.data import downloads
from helpers.images.catalog import CARDS
from helpers.images.tasks import Files
from helpers.lessons import explorer, fine_tuning, variants, your_own_images
from helpers.training.recipes import FEATURE_EXTRACTION, Recipe

NETWORK = {"requests", "urllib.request", "http", "socket", "ssl", "httpx", "aiohttp", "ftplib", "webbrowser", "subprocess",
           "pooch", "pyinaturalist", "timm", "huggingface_hub", "torch.hub"}  # fmt: skip
# The modules of helpers that use one of these, or let torchvision fetch: there are no other doors to the network.
DOORS = {"data.downloads", "images.inaturalist", "lessons.budget", "sources.backbones", "sources.from_timm",
         "sources.from_torchvision"}  # fmt: skip

FOREIGN = Recipe("foreign", "resnet18", upto="layer4", steps=1)
SETTING = explorer.Setting("resnet18", "goldfinches")


def task():
    from fits import small_task

    return small_task()


# Every public function from which a door can be reached, called so that it would have to fetch.
CALLS = {
    "open_task": lambda _: helpers.open_task("flowers102"),
    "load_backbone": lambda _: helpers.load_backbone("resnet18"),
    "inspect_images": lambda _: helpers.inspect_images("hotdog"),
    "fit": lambda _: helpers.fit(FOREIGN, task()),
    "compare": lambda _: helpers.compare([FOREIGN], task(), seeds=1),
    "run_study": lambda _: helpers.run_study("?", [helpers.Case({"from": "foreign"}, FOREIGN, task())], seeds=1),
    "your_own_images.image_folder": lambda _: your_own_images.image_folder("hotdog"),
    "your_own_images.leak_study": lambda _: your_own_images.leak_study("hotdog", FEATURE_EXTRACTION, 1),
    "fine_tuning.range_test": lambda _: fine_tuning.range_test(FOREIGN, task(), steps=10),
    "variants.step_costs": lambda _: variants.step_costs([FOREIGN], task(), batch_size=4, rounds=1),
    "variants.plot_model_view": lambda _: variants.plot_model_view([FOREIGN], task(), 1000),
    "explorer.Setting": lambda _: explorer.Setting(task="flowers102").open(),
    "explorer.try_setting": lambda _: explorer.try_setting(SETTING),
    "explorer.depth_table": lambda _: explorer.depth_table(SETTING),
    "explorer.draw_explorer": lambda _: explorer.draw_explorer(SETTING),
    "explorer.explore": lambda _: explorer.explore(SETTING),
}
# More ways into the same functions.
MORE = {
    "hotdog": lambda _: helpers.open_task("hotdog"),
    "goldfinch-photos": lambda _: helpers.open_task("goldfinch-photos"),
    "timm": lambda _: helpers.load_backbone("timm:resnet18.a1_in1k"),
}
# Public functions that reach a door by their source, and never fetch.
HARMLESS = {
    "choose_budget": "asks one host, unless it is offline: tested below and in test_budget.py",
    "load_classifier": "builds an architecture, and loads weights from the file that it is given",
    "anatomy.batchnorm_drift": "opens the source model that comes with the course",
    "choosing.heads": "opens the source models that come with the course",
    "explorer.trial_table": "shows trials that were run",
    "flowers.last_score": "shows the last score of a contest",
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
    if name == "timm":
        pytest.importorskip("timm")
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
        helpers.open_task(name, files=Files(offline=True))
    assert not closed


def test_load_backbone_offline_opens_no_socket_without_the_variable_either(closed):
    with pytest.raises(downloads.Offline, match="offline=True"):
        helpers.load_backbone("resnet18", offline=True)
    assert not closed


def test_argument_cannot_allow_what_the_variable_forbids(closed, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "yes")
    with pytest.raises(downloads.Offline):
        helpers.open_task("hotdog", files=Files(offline=False))
    assert not closed


def test_full_budget_opens_no_socket_with_course_offline(closed, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert helpers.choose_budget("full").imagenet is None and not closed


def test_what_a_message_names_instead_works_without_a_network(closed, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    shorten(monkeypatch)
    monkeypatch.chdir(tmp_path)
    calls = {card.instead for card in CARDS.values() if not card.embedded} | {"load_backbone('garden')"}
    for call in calls:
        assert eval(call, {name: getattr(helpers, name) for name in helpers.__all__}), call
    assert calls >= {'open_task("flowers")', 'open_task("goldfinches")'} and not closed


def test_what_is_in_the_caches_opens_without_a_socket(closed, tmp_path, monkeypatch):
    fill_cache(tmp_path / "COURSE_CACHE", "hotdog", train=8, test=1)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert len(helpers.open_task("hotdog", 2, size=8).test) == 2 and not closed


# What can fetch, found in the source


@cache
def modules():
    """{"images.tasks": its syntax tree}; a package ("lessons.flowers") is its __init__."""
    found = {}
    for path in sorted((ROOT / "helpers").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "helpers").with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(tree):
    """{name in this module: (helper module, its name there, None for the module itself) or ("network", library)}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            package, _, below = (node.module or "").partition(".")
            for alias in node.names:
                own = alias.asname or alias.name
                if package == "helpers":
                    whole = f"{below}.{alias.name}".strip(".")
                    names[own] = (whole, None) if whole in modules() else (below, alias.name)
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


FACES = [name for name in modules() if name.startswith("lessons.") and (ROOT / "helpers" / name.replace(".", "/")).is_dir()]


@cache
def uses():
    """{(module, function or class or variable): what its code mentions}."""
    found = {}
    for module, tree in modules().items():
        names, parts = imported(tree), []
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                parts.append((node.name, node))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = getattr(node, "targets", None) or [node.target]
                parts += [(target.id, node) for target in targets if isinstance(target, ast.Name)]
        own = {name for name, _ in parts}
        found |= {(module, name): {*used(node, names, own, module)} - {(module, name)} for name, node in parts}
        if module in FACES:  # what it takes from elsewhere is as if it stood there
            found |= {(module, name): {place} for name, place in names.items() if place[1]}
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
    public |= {f"{module.partition('.')[2]}.{name}" for module, name in reached if module in FACES}
    public -= {name for name in public if name.endswith("cases")}  # of studies, which open the drawn tasks
    assert public == CALLS.keys() | HARMLESS.keys()
