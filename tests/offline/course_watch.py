"""The whole test run without a network: what each process of pytest does about it (course_guard.py guards one process).

Every process of pytest keeps a file of attempts, and runs a proxy that refuses all and notes what it was asked for: curl,
git, pip, hf_xet and other native code ask a proxy when the environment names one. At the end the run says which test and
which notebook tried to reach outside, and fails, unless the test says that it does so on purpose:

    @pytest.mark.reaches_out("shows that the guard refuses")

Nothing gets through then either. tests/test_guard.py lists all tests with this mark.
"""

import os
import socketserver
import threading
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import urlsplit

import course_guard
import pytest

MARK = "reaches_out"


class Refusing(socketserver.StreamRequestHandler):
    """One request to the proxy: noted and refused. CONNECT is answered; a plain request is hung up on, as by a dead line."""

    timeout = 5

    def handle(self):
        try:
            method, target, *_ = self.rfile.readline(9000).decode("latin-1").split()
            while self.rfile.readline(9000).strip():
                pass  # the rest of what it has to say
        except (OSError, ValueError):
            return
        place = urlsplit(target if "://" in target else f"//{target}")
        course_guard.record(place.hostname, place.port or 80, f"way of the proxy, {method}")
        if method == "CONNECT":
            self.wfile.write(f"HTTP/1.1 503 there is no network in this test: {place.hostname}\r\n\r\n".encode())


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True


def begin(folder):
    """Guard this process and those that it starts; what they try is written to a file of this process below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[course_guard.ATTEMPTS] = str(folder / f"{os.getpid()}.txt")
    proxy = Proxy(("127.0.0.1", 0), Refusing)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    port = proxy.server_address[1]
    for name in course_guard.PROXIES:
        os.environ[name] = "localhost,127.0.0.1,::1" if name.lower() == "no_proxy" else f"http://127.0.0.1:{port}"
    course_guard.install()


class Watch:
    """The plugin of pytest: notes with every test what it tried, and sums up."""

    def __init__(self, config, folder):
        config.addinivalue_line("markers", f"{MARK}(why): tries to reach outside on purpose, and is refused all the same")
        self.folder, self.own, self.seen = folder, Path(os.environ[course_guard.ATTEMPTS]), 0
        self.worker = hasattr(config, "workerinput")
        self.tried, self.reasons, self.failures = defaultdict(list), {}, []

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        """With the last report of a test: what has been tried since the last one of the test before."""
        report = (yield).get_result()
        if call.when == "teardown":
            lines = _lines(self.own)
            report.user_properties += [("tried", line) for line in lines[self.seen :]]
            self.seen = len(lines)
            mark = item.get_closest_marker(MARK)
            if mark:
                report.user_properties.append((MARK, str(mark.args[0])))

    def pytest_runtest_logreport(self, report):
        if report.when == "teardown":
            self.tried[report.nodeid] += [value for key, value in report.user_properties if key == "tried"]
            self.reasons.update((report.nodeid, value) for key, value in report.user_properties if key == MARK)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        if self.worker:
            return
        told = Counter(line for lines in self.tried.values() for line in lines)
        untold = Counter(line for file in sorted(self.folder.glob("*.txt")) for line in _lines(file)) - told
        self.tried["(no test in particular)"] += untold.elements()
        for test, lines in self.tried.items():
            if lines and test not in self.reasons:
                self.failures += [f"{test}: {line}" for line in lines]
        if self.failures and exitstatus == 0:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter):
        if self.failures:
            terminalreporter.section("FAILED: these tried to reach outside this machine, and were refused")
            for line in self.failures:
                terminalreporter.write_line(line)
        if self.reasons:
            terminalreporter.section("tests that try to reach outside, refused all the same")
            counts = Counter()
            for test, why in self.reasons.items():  # one line for all parameters of a test
                counts[test.partition("[")[0], why] += len(self.tried[test])
            for (test, why), count in sorted(counts.items()):
                terminalreporter.write_line(f"{test}: {count} tried; it {why}")


def _lines(file):
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
