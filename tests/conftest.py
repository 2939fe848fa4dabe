"""What several files of tests share: a browser; and a table, at the end, of how each invariant was checked on each classifier."""

from collections import defaultdict

import pytest

INVARIANTS = {
    "I1": "frozen parameters and buffers are bitwise unchanged by training, in a plain loop",
    "I1 L": "the same under Lightning",
    "I2": "the trainable parameters are those that the suffix reaches",
    "I3": "suffix(prefix(x)) equals model(x) bitwise",
    "I3 gradients": "the suffix's gradients equal the model's bitwise",
    "I4": "freeze depends on the model and the stage only",
    "I4 head": "before or after swap_head makes no difference",
    "I5": "one parameter group per stage, from the start to the end",
    "I6": "swap_head leaves all other tensors as they are",
    "I7": "an interrupted and resumed run equals an uninterrupted one bitwise",
    "I8": "what was trained, saved and loaded, gives the whole model",
}


@pytest.fixture(scope="module")
def browser():
    """A Chromium that asks nobody for anything by itself; the test is skipped where there is none."""
    pytest.importorskip("playwright.sync_api", reason="playwright comes with the extra test")
    from browser import chromium, why_not

    if why_not():
        pytest.skip(why_not())
    with chromium() as started:
        yield started


@pytest.fixture
def covers(record_property):
    """covers("I1", "resnet18", "real") enters a line into the table; it reaches it from xdist's workers, too."""
    return lambda invariant, model, how: record_property("covers", f"{invariant}|{model}|{how}")


def pytest_terminal_summary(terminalreporter):
    coverage = defaultdict(lambda: defaultdict(list))
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            for key, value in getattr(report, "user_properties", []):
                if key == "covers" and report.when == "call":
                    invariant, model, how = value.split("|")
                    coverage[invariant]["FAILED" if outcome == "failed" else how].append(model)
    if coverage:
        terminalreporter.section("torchvision classifiers checked")
    for invariant in sorted(coverage):
        terminalreporter.write_line(f"{invariant}: {INVARIANTS[invariant]}")
        ways = sorted(coverage[invariant].items(), key=lambda way: -len(way[1]))
        for i, (how, models) in enumerate(ways):
            names = "" if i == 0 and len(models) > 20 else f": {', '.join(sorted(models))}"
            terminalreporter.write_line(f"    {len(models):3} {how}{names}")
