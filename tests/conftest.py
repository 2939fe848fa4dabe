"""What several files of tests share: a browser."""

import pytest


@pytest.fixture(scope="module")
def browser():
    """A Chromium that asks nobody for anything by itself; the test is skipped where there is none."""
    pytest.importorskip("playwright.sync_api", reason="playwright comes with the extra test")
    from browser import chromium, why_not

    if why_not():
        pytest.skip(why_not())
    with chromium() as started:
        yield started
