"""COURSE_OFFLINE and offline=True: whatever the library can fetch, it then opens no socket, and says what to do instead.

Only a few modules can fetch, which a test finds in the source; a new one has to be shown here to keep the promise.
"""

import ast
import socket

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
from helpers.training.study import Case

NETWORK = {"requests", "urllib.request", "http", "socket", "ssl", "httpx", "aiohttp", "ftplib", "webbrowser", "subprocess",
           "pooch", "pyinaturalist", "timm", "huggingface_hub", "torch.hub"}  # fmt: skip
# The modules of helpers that use one of these, or let torchvision fetch: there are no other doors to the network.
DOORS = {"data.downloads", "images.inaturalist", "lessons.budget", "notebook.page", "sources.backbones", "sources.from_timm",
         "sources.from_torchvision"}  # fmt: skip

FOREIGN = Recipe("foreign", "resnet18", upto="layer4", steps=1)
SETTING = explorer.Setting("resnet18", "goldfinches")


def task():
    from fits import small_task

    return small_task()


# Public functions from which each door can be reached, called so that they would have to fetch.
CALLS = {
    "open_task": lambda _: helpers.open_task("flowers102"),
    "load_backbone": lambda _: helpers.load_backbone("resnet18"),
    "inspect_images": lambda _: helpers.inspect_images("hotdog"),
    "fit": lambda _: helpers.fit(FOREIGN, task()),
    "compare": lambda _: helpers.compare([FOREIGN], task(), seeds=1),
    "run_study": lambda _: helpers.run_study("?", [Case({"from": "foreign"}, FOREIGN, task())], seeds=1),
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
    "ants-bees": lambda _: helpers.open_task("ants-bees"),
    "goldfinch-photos": lambda _: helpers.open_task("goldfinch-photos"),
    "timm": lambda _: helpers.load_backbone("timm:resnet18.a1_in1k"),
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
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    with pytest.raises(downloads.Offline) as refused:
        (CALLS | MORE)[name](tmp_path)
    said = str(refused.value)
    assert not closed and "COURSE_OFFLINE forbids it" in said
    assert "Wanted: " in said or "By hand: " in said, "where it goes"
    assert "load_backbone('garden')" in said or "open_task(" in said, "what works without a network"


@pytest.mark.parametrize("name", [card.name for card in CARDS.values() if not card.embedded])
def test_offline_true_opens_no_socket_without_the_variable_either_and_allows_nothing_that_it_forbids(name, closed, monkeypatch):
    with pytest.raises(downloads.Offline, match="offline=True"):
        helpers.open_task(name, files=Files(offline=True))
    with pytest.raises(downloads.Offline, match="offline=True"):
        helpers.load_backbone("resnet18", offline=True)
    monkeypatch.setenv("COURSE_OFFLINE", "yes")
    with pytest.raises(downloads.Offline):
        helpers.open_task(name, files=Files(offline=False))
    assert not closed


def test_full_budget_opens_no_socket_with_course_offline(closed, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert helpers.choose_budget("full").imagenet is None and not closed


def test_what_a_message_names_instead_works_without_a_network(closed, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    shorten(monkeypatch)
    monkeypatch.chdir(tmp_path)
    calls = {card.instead for card in CARDS.values() if not card.embedded}
    calls |= {"load_backbone('garden')", "load_backbone('efficientnet_lite0')"}
    for call in calls:
        assert eval(call, {name: getattr(helpers, name) for name in helpers.__all__}), call
    assert calls >= {'open_task("flowers")', 'open_task("goldfinches")'} and not closed


def test_what_is_in_the_caches_opens_without_a_socket(closed, tmp_path, monkeypatch):
    fill_cache(tmp_path / "COURSE_CACHE", "hotdog", train=8, test=1)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert len(helpers.open_task("hotdog", 2, size=8).test) == 2 and not closed


# What can fetch, found in the source


def reaches_the_network(node) -> bool:
    """Whether a piece of code names a library that can, or lets torchvision fetch weights."""
    if isinstance(node, ast.Import):
        names = {alias.name for alias in node.names} | {alias.name.partition(".")[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        names = {module, module.partition(".")[0], *(f"{module}.{alias.name}" for alias in node.names)}
    elif isinstance(node, ast.Constant):  # import_module("timm")
        names = {node.value}
    elif isinstance(node, ast.Attribute):  # torch.hub.get_dir only names a folder
        names = {ast.unparse(node.value)} & {"torch.hub"} if node.attr != "get_dir" else set()
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_model"):
        return any(option.arg == "weights" and ast.unparse(option.value) != "None" for option in node.keywords)
    else:
        names = set()
    return not names.isdisjoint(NETWORK)


def test_doors_to_the_network_are_these_modules_and_no_others():
    doors = set()
    for path in (ROOT / "helpers").rglob("*.py"):
        if any(map(reaches_the_network, ast.walk(ast.parse(path.read_text(encoding="utf-8"))))):
            doors.add(".".join(path.relative_to(ROOT / "helpers").with_suffix("").parts))
    assert doors == DOORS
