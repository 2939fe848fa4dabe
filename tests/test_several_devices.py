"""Two processes that train together, on a CPU by gloo, give the result of one with the same batches; other ways are refused."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fits import HEAD_BY_STEPS, fitted, short, small_task

from helpers.training.fitting import fit
from helpers.training.recipes import FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE

# augmented in every step; a solved head, then everything, and part of the way back; kept features, and patience
RECIPES = [short(FINE_TUNE_ALL), short(PROBE_THEN_FINE_TUNE), replace(HEAD_BY_STEPS, patience=1)]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def train(folder):
    """What each of the processes does: fit, go on from checkpoints that are complete, and write down what came out."""
    for number, recipe in enumerate(RECIPES):
        place = {"checkpoint": Path(folder) / "checkpoints"} if number == 1 else {}
        for _ in range(1 + bool(place)):
            run = fit(recipe, small_task(), devices=2, strategy="ddp", **place)
        found = {"logits": run.logits, "history": torch.tensor(run.history.to_numpy()), "state": run.model.state_dict()}
        torch.save(found, Path(folder) / f"{number}-{os.environ['RANK']}.pt")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each process has written, by recipe and process; and what they have printed."""
    folder, port = tmp_path_factory.mktemp("together"), free_port()
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_addr=127.0.0.1",
               f"--master_port={port}", __file__, str(folder)]  # fmt: skip
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "GLOO_SOCKET_IFNAME": "lo", "COURSE_DEVICE": "cpu"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-3000:]
    said = [line for line in done.stdout.splitlines() if "accuracy on 20 test images" in line]
    return {file.stem: torch.load(file) for file in folder.glob("*.pt")}, said


@pytest.mark.skipif(not torch.distributed.is_available() or sys.platform != "linux", reason="gloo on the loopback of Linux")
@pytest.mark.parametrize("number", range(len(RECIPES)), ids=[recipe.name for recipe in RECIPES])
def test_two_processes_give_the_result_of_one(results, number):
    (one, other), alone = (results[0][f"{number}-{rank}"] for rank in range(2)), fitted(RECIPES[number])
    for mine in (one, other):
        torch.testing.assert_close(mine["logits"], alone.logits, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(mine["history"], torch.tensor(alone.history.to_numpy()), rtol=1e-3, atol=1e-3)
    assert all(torch.equal(tensor, other["state"][name]) for name, tensor in one["state"].items()), "the processes drift apart"
    assert len(results[1]) == len(RECIPES) + 1, "one of them says what came out"


@pytest.mark.parametrize(
    "recipe, settings, words",
    [
        (short(FINE_TUNE_ALL, batch_size=5), {"devices": 2}, "batches of 5 images cannot be shared evenly by 2 processes"),
        (short(FINE_TUNE_ALL, batchnorm="live"), {"devices": 2}, "each process's own images: set batchnorm='frozen'"),
        (short(FINE_TUNE_ALL), {"devices": 2, "strategy": "ddp_spawn"}, "'ddp_spawn' trains in copies of this process"),
        (short(FINE_TUNE_ALL, batchnorm="as frozen", gradual=True), {"devices": 2}, "gradual=True thaws stages on one device"),
        (short(FINE_TUNE_ALL), {"devices": 0}, "devices=0 must be a whole number"),
        (short(FINE_TUNE_ALL), {"nodes": 1.5}, "nodes=1.5 must be a whole number"),
    ],
)
def test_what_several_processes_would_not_train_as_one_does_is_refused(recipe, settings, words):
    with pytest.raises(ValueError, match=words):
        fit(recipe, small_task(), **({"strategy": "ddp"} if "devices" in settings else {}) | settings)


if __name__ == "__main__":
    train(sys.argv[1])
