"""Long use: many trainings in one kernel, and a class of fifty on one server."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from urllib.parse import parse_qs, urlsplit

import pytest
from hostile import LONG

TRAININGS, KERNELS = 200, 50
pytestmark = pytest.mark.skipif(not LONG, reason="takes twenty minutes: COURSE_LONG=1, or `make test-long`")
TRAIN = """
import gc, json, os, resource, sys
from fits import short, small_task
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE, SCRATCH
recipes, seen = [short(recipe) for recipe in (FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE, SCRATCH)], []
for number in range(int(sys.argv[1])):
    fit(recipes[number % 3], small_task(), seed=number)
    gc.collect()
    with open("/proc/self/statm") as now:
        seen.append([int(now.read().split()[1]) * resource.getpagesize() / 1e6, len(os.listdir("/proc/self/fd"))])
print(json.dumps(seen))
"""
STUDENT = """
import helpers as h
task = h.open_task("flowers", 1, val=1, test=2)
print(h.fit(h.FEATURE_EXTRACTION, task).logits.sum().item())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_and_open_files_stay_as_they_are_over_many_trainings():
    said = subprocess.run([sys.executable, "-c", TRAIN, str(TRAININGS)], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert said.returncode == 0, said.stderr
    memory, files = zip(*json.loads(said.stdout.splitlines()[-1]), strict=True)
    early, late = memory[TRAININGS // 3 : TRAININGS // 3 + 3], memory[-3:]
    assert min(late) - max(early) < 0.1 * max(early), f"MB after each training: {[round(of) for of in memory]}"
    assert max(files[-3:]) <= max(files[2:5])


def test_every_student_on_one_server_gets_the_same_number(tmp_path):
    pytest.importorskip("tornado", reason="tornado comes with Jupyter")
    from browser import jupyterlab

    with jupyterlab(tmp_path) as address:
        at = urlsplit(address)
        said = asyncio.run(asyncio.wait_for(class_of(KERNELS, at.netloc, parse_qs(at.query)["token"][0]), 60 + 30 * KERNELS))
    assert len(said) == KERNELS and len(set(said)) == 1 and float(said[0].split()[-1])


async def class_of(count, where, token):
    """What so many kernels of a server print for STUDENT, all asked at once."""
    return await asyncio.gather(*(student(where, token) for _ in range(count)))


async def student(where, token):
    """Start a kernel by the server's interface, run STUDENT there, and return what it prints; a mistake is printed, too."""
    from tornado.httpclient import AsyncHTTPClient
    from tornado.websocket import websocket_connect

    options = {"headers": {"Authorization": f"token {token}"}, "connect_timeout": 600, "request_timeout": 600}
    AsyncHTTPClient.configure(None, max_clients=100)
    started = await AsyncHTTPClient().fetch(f"http://{where}/api/kernels", method="POST", body="{}", **options)
    channel = await websocket_connect(f"ws://{where}/api/kernels/{json.loads(started.body)['id']}/channels?token={token}")
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": uuid.uuid4().hex,
              "version": "5.3"}  # fmt: skip
    content = {"code": STUDENT, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}
    await channel.write_message(json.dumps(asked))
    printed = ""
    while True:
        answer = json.loads(await channel.read_message())
        if answer["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        if answer["msg_type"] == "execute_reply":
            channel.close()
            return printed + " ".join(answer["content"].get("traceback", []))
        printed += answer["content"].get("text", "") if answer["msg_type"] == "stream" else ""
