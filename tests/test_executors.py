"""A study on several processes or machines: the numbers of one, and what a lost worker had to do is done again."""

import multiprocessing
import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from fits import HEAD_BY_STEPS, short, small_task

from helpers import compare
from helpers.training.devices import spread
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL

RECIPES = [short(FEATURE_EXTRACTION), short(FINE_TUNE_ALL)]


@contextmanager
def pool():
    """Two processes, started afresh: a copy of this one would share the threads of PyTorch with it."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor


@contextmanager
def dask():
    """A scheduler and two workers, each a process of its own, on this machine's loopback."""
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed: pip install distributed")
    settings = {"host": "127.0.0.1", "dashboard_address": None, "n_workers": 2, "threads_per_worker": 1}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


def doubled(number, file=None):
    """Twice the number; the first process that is given a file which is not there writes it, and dies."""
    if file and not file.exists():
        file.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


@pytest.mark.parametrize("kind", [pool, dask])
def test_a_comparison_on_several_processes_has_the_numbers_of_one_also_where_a_worker_is_lost(kind, tmp_path, capsys):
    with kind() as executor:
        there = compare(RECIPES, small_task(), 2)
        elsewhere = compare(RECIPES, small_task(), 2, checkpoint=tmp_path / "kept", executor=executor)
        assert elsewhere.runs.drop(columns="seconds").equals(there.runs.drop(columns="seconds"))
        assert all(torch.equal(a, b) for a, b in zip(elsewhere.correct, there.correct, strict=True))
        assert len(list((tmp_path / "kept").glob("*.json"))) == 4, "every run is kept, whoever did it"
        if os.name == "nt":
            return
        jobs = [(number, tmp_path / "lost" if number == 1 else None) for number in range(6)]
        if kind is pool:  # which cannot be used afterwards
            with pytest.warns(UserWarning, match="a worker was lost .*what it had to do is done here"):
                assert list(spread(executor, doubled, jobs)) == [0, 2, 4, 6, 8, 10]
            with pytest.warns(UserWarning, match="a worker was lost"):
                assert list(spread(executor, doubled, [(4,)])) == [8], "nothing can be handed out to a broken pool"
        else:  # which gives it to another worker
            assert list(spread(executor, doubled, jobs)) == [0, 2, 4, 6, 8, 10]
        assert int((tmp_path / "lost").read_text()) != os.getpid()


def test_what_fails_elsewhere_fails_here_and_the_rest_is_given_up():
    class Never:
        """An executor whose first job fails, and whose others never begin."""

        def __init__(self):
            self.given = []

        def submit(self, function, *job):
            self.given.append(Future())
            if len(self.given) == 1:
                self.given[0].set_exception(ValueError("'head by steps' diverged"))
            return self.given[-1]

    executor = Never()
    with pytest.raises(ValueError, match="diverged"):
        compare([HEAD_BY_STEPS, replace(HEAD_BY_STEPS, name="other")], small_task(), 3, executor=executor)
    assert len(executor.given) == 6 and all(future.cancelled() for future in executor.given[1:])
