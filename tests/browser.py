"""A real JupyterLab on this machine, driven in headless Chromium: what test_browser.py works with.

The server listens on 127.0.0.1 alone, with a token, in a folder, settings and a port of its own. Neither it nor its
kernels nor the browser reach anything else: the guard of the whole test run (offline/) notes what server and kernels try,
Chromium refuses every other address, and what a page asked for is kept, for a test to look at.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

from playwright.sync_api import sync_playwright
from project import ROOT, clean_environment, notebooks
from short.short_course import SHORT

SCREENSHOTS = ROOT / "build/screenshots"
PIECE = 4000  # pixels of a page in one picture
CHROMIUM = os.environ.get("COURSE_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
    "docmanager-extension/plugin": {"autosave": False},
}
# JupyterLab first asks for a picture of a text, such as ../docs/x.png, as if its own page lay where the notebook does, and
# then at the right place; that it is there in the end is tested (Lab.pictures).
JUPYTERS_OWN = re.compile(re.escape("http://127.0.0.1:") + r"\d+/docs/")
OPEN = """async path => {
  const app = window.jupyterapp; await app.restored;
  const widget = await app.commands.execute('docmanager:open', {path, factory: 'Notebook'});
  await widget.context.ready; await widget.sessionContext.ready; await widget.sessionContext.session.kernel.info;
  app.shell.collapseLeft(); app.shell.activateById(widget.id); }"""
RUN = """async () => {
  const app = window.jupyterapp, widget = app.shell.currentWidget;
  await app.commands.execute('notebook:run-all-cells');
  return widget.content.widgets.filter(cell => cell.model.type == 'code').map(cell => ({
    id: cell.model.sharedModel.id, count: cell.model.executionCount, outputs: cell.model.outputs.toJSON()})); }"""
RUN_SOME = """async ids => {
  const {content, sessionContext} = window.jupyterapp.shell.currentWidget;
  for (const id of ids) {
    content.activeCellIndex = content.widgets.findIndex(cell => cell.model.sharedModel.id == id); content.deselectAll();
    await window.jupyterapp.commands.execute('notebook:run-cell'); } }"""
WRITE = """([id, source]) => window.jupyterapp.shell.currentWidget.content.widgets
  .find(cell => cell.model.sharedModel.id == id).model.sharedModel.setSource(source)"""
PICTURES = """async () => Promise.all([...document.querySelectorAll('.jp-Notebook img')].map(async picture => {
  await picture.decode().catch(() => 0); return {wide: picture.naturalWidth, alt: picture.alt || picture.title}; }))"""
CLOSE = """async () => {
  const app = window.jupyterapp; await app.restored;
  const widget = app.shell.currentWidget;
  if (!widget || !widget.sessionContext) return;
  await widget.sessionContext.shutdown(); widget.context.dispose(); widget.dispose(); }"""


def why_not():
    """Why there can be no browser here, or None."""
    if not CHROMIUM:
        return "there is no Chromium here (Debian and Ubuntu: apt install chromium)"
    if sys.platform == "win32":
        return "the browser tests run on Linux and macOS"
    return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def jupyterlab(folder):
    """A JupyterLab over copies of all notebooks below `folder`; gives its address, the token in it."""
    root, home = folder / "root", folder / "home"
    for path in notebooks("notebooks", "solutions", "labs"):
        copy = root / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    shutil.copytree(ROOT / "docs", root / "docs", ignore=shutil.ignore_patterns("book"))
    for name, settings in SETTINGS.items():
        file = home / f"settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    places = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
    environment = clean_environment(
        **{f"JUPYTER_{name}": str(home / place) for name, place in places.items()},
        JUPYTERLAB_SETTINGS_DIR=str(home / "settings"), JUPYTERLAB_WORKSPACES_DIR=str(home / "workspaces"),
        PYTHONPATH=os.pathsep.join([SHORT, str(ROOT)]), COURSE_RUN="quick", COURSE_BUDGET="0.05",
        PYDEVD_DISABLE_FILE_VALIDATION="1",
    )  # fmt: skip
    port, token = free_port(), secrets.token_hex(16)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    with open(folder / "server.log", "w") as log:
        server = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
    try:
        wait_for(server, f"http://127.0.0.1:{port}/api/status?token={token}", folder / "server.log")
        yield f"http://127.0.0.1:{port}/lab?reset&token={token}"
    finally:
        server.terminate()  # it shuts its kernels down
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_for(server, address, log, seconds=120):
    end = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


class Lab:
    """A page with JupyterLab in it, and what it complained about.

    errors    of the console: messages of the kind "error", and exceptions that nobody caught
    outside   addresses other than this machine's own that the page asked for
    """

    def __init__(self, browser, address, width=1280, height=900):
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.errors, self.outside = [], []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)
        self.page.set_default_timeout(60_000)
        self.page.goto(address)
        self.page.wait_for_function("window.jupyterapp", timeout=120_000)

    def _said(self, message):
        place = message.location.get("url", "")
        if message.type == "error" and not JUPYTERS_OWN.match(place):
            self.errors.append(f"{message.text} ({place})")

    def _asked(self, request):
        if not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:", request.url):
            self.outside.append(request.url)

    def open(self, path):
        """Open a notebook, with a kernel of its own, and close what was open."""
        self.close()
        self.page.evaluate(OPEN, path)

    def run(self):
        """Run all cells; returns [{"id", "count", "outputs"}] of the code cells."""
        return self.page.evaluate(RUN)

    def cell(self, id):
        """The cell of this id, scrolled into view."""
        script = "id => window.jupyterapp.shell.currentWidget.content.widgets.findIndex(c => c.model.sharedModel.id == id)"
        place = self.page.evaluate(script, id)
        found = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell").nth(place)
        found.scroll_into_view_if_needed()
        return found

    def run_only(self, *ids):
        """Run the cells of these ids, in this order."""
        self.page.evaluate(RUN_SOME, list(ids))

    def write(self, id, source):
        """Put code into the cell of this id, as by typing."""
        self.page.evaluate(WRITE, [id, source])

    def pictures(self):
        """[{"wide": pixels, 0 if it did not load, "alt": its text}] of all pictures on the page."""
        return self.page.evaluate(PICTURES)

    def until(self, condition, seconds=30):
        """Wait until condition() holds; AssertionError after `seconds`."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"still not, after {seconds} s"
            self.page.wait_for_timeout(100)

    def close(self):
        """Close the notebook in front, if there is one, and shut its kernel down."""
        self.page.evaluate(CLOSE)

    def picture(self, name, of=None):
        """Keep a screenshot of the page, or of a part of it, in build/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=SCREENSHOTS / f"{name}.png")

    def whole_picture(self, name):
        """Keep a screenshot of what is in front; with COURSE_PICTURES=whole of the notebook from top to bottom, in pieces."""
        if os.environ.get("COURSE_PICTURES") != "whole":
            return self.picture(name)
        usual, pages = self.page.viewport_size, ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-WindowedPanel-outer"
        height = self.page.evaluate(f"document.querySelector('{pages}').scrollHeight")
        self.page.set_viewport_size({"width": usual["width"], "height": PIECE + 100})
        for piece in range(-(-height // PIECE)):
            self.page.evaluate(f"document.querySelector('{pages}').scrollTop = {piece * PIECE}")
            self.picture(f"{name}-{piece + 1:02}")
        self.page.set_viewport_size(usual)


@contextlib.contextmanager
def chromium(*flags):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


def failures(cells):
    """What went wrong in cells that ran: errors and what was written to stderr, as lines."""
    for cell in cells:
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                yield f"{cell['id']}: {output['ename']}: {output['evalue']}"
            elif output.get("name") == "stderr":
                yield f"{cell['id']} wrote to stderr: {''.join(output['text'])[:300]}"
