"""What `make gpu` tries: each part is a function of note(**found), with its deadline in seconds; see tools/gpu.py.

Networks have random weights and photographs are made up, so that nothing has to be fetched: no accuracy means anything.
"""

import builtins
import contextlib
import io
import json
import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import lightning
import pytest
import timm
import torch
import torchvision
from fits import RECIPES, Deaf, small_task, write_source
from gpu import FORK, ROOT, TINY, attempt
from PIL import Image
from short.short_course import shorten
from torch.nn import functional as F
from torchvision.models import get_model

import helpers as h
from helpers.images.splits import Split
from helpers.lessons.pretext.tasks import train_simclr
from helpers.sources import from_package
from helpers.training import loop
from helpers.training.costs import now
from helpers.training.devices import device, has_bfloat16
from helpers.training.recipes import FINE_TUNE_ALL, SCRATCH

SIZE, BATCHES = (64, (4,)) if TINY else (224, (32, 128))
CAP, ENOUGH = 15e9, 0.8  # bytes of a T4; the share of the throughput of a bare pass that `fit` has to reach
TESTS = ("training", "training_manners", "features", "classifier", "surgery", "augment", "thawing", "costs", "devices")
PLACE, PATIENCE = {}, 6 if TINY else 1  # a CPU may be busy with other work


def prepare(folder):
    """Make up photographs, and weights for what has none here. This process computes nothing itself: those that are forked from
    one whose threads have computed can hang."""
    PLACE["folder"] = folder
    made = attempt(lambda note: draw(folder), 60)
    assert made["passed"], made
    if not from_package.find_spec(from_package.PACKAGE.replace("-", "_")):
        from_package._file = lambda: folder
        from_package._tensors = lambda _: [*timm.create_model("tf_efficientnet_lite0").state_dict().values()]


def draw(folder):
    """Photographs of three kinds: blobs of other colours."""
    noise = torch.Generator().manual_seed(0)
    for kind in range(3):
        (folder / f"photographs/kind {kind}").mkdir(parents=True)
        for number in range(12 if TINY else 40):
            blobs = torch.rand(1, 3, 4, 4, generator=noise) + kind * torch.eye(3)[kind].view(1, 3, 1, 1)
            pixels = F.interpolate(blobs / 2, (240, 260), mode="bilinear")[0].mul(255).clamp(0, 255).byte()
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"photographs/kind {kind}/{number}.png")


def photographs(count, size=SIZE):
    """A task of `count` made-up photographs in each part, of ten kinds."""
    images, labels = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8), torch.arange(count) % 10
    split = Split(images, torch.arange(count), labels, [""] * count)
    return replace(small_task(), name="made up", classes=[str(kind) for kind in range(10)], size=size, train=split, val=split,
                   test=split, pool=split)  # fmt: skip


def hardware(note):
    where = device()
    note(torch=torch.__version__, torchvision=torchvision.__version__, lightning=lightning.__version__, device=str(where),
         bf16=has_bfloat16(where), cudnn=torch.backends.cudnn.version(), tf32=torch.backends.cudnn.allow_tf32)  # fmt: skip
    if where.type == "cuda":
        about = torch.cuda.get_device_properties(where)
        note(hardware=about.name, sm=f"{about.major}.{about.minor}", gigabytes=about.total_memory / 1e9, cuda=torch.version.cuda)


def core_tests(note):
    """The tests of the core, on the device."""

    class Watch:
        failed, passed = [], 0

        def pytest_runtest_logreport(self, report):
            if report.failed:
                self.failed.append(f"{report.nodeid}: {str(report.longrepr)[-300:]}")
            self.passed += report.when == "call" and report.passed
            note(passed_tests=self.passed, failed_tests=self.failed)

    files = [f"tests/test_{name}.py" for name in (TESTS[5:6] if TINY else TESTS)]
    jobs = ["-n", "8", "--dist", "loadscope"] if from_package.find_spec("xdist") and not TINY else []
    os.chdir(ROOT)
    os.environ["COURSE_RUN"] = "quick"
    pytest.main([*files, "-q", "-o", "addopts=", "-p", "no:cacheprovider", *jobs], plugins=[watch := Watch()])
    assert watch.passed and not watch.failed, f"{len(watch.failed)} tests failed"


def recipes(note):
    """Each recipe twice, and on the CPU."""
    table, task = {}, small_task()
    for source in ["garden"] if TINY else ["garden", "garden-vit", write_source(PLACE["folder"] / "squeezenet.safetensors")]:
        for recipe in (replace(recipe, source=source) for recipe in RECIPES):
            one, two = h.fit(recipe, task), h.fit(recipe, task)
            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.setenv("COURSE_DEVICE", "cpu")
                there = h.fit(recipe, task)
            row = {"bit-equal": torch.equal(one.logits, two.logits), "varying": one.varying, "accuracy": one.accuracy,
                   "accuracy on the CPU": there.accuracy, "logits differ by": (one.logits - there.logits).abs().max().item(),
                   "logits up to": there.logits.abs().max().item()}  # fmt: skip
            table[f"{recipe.name}, {Path(source).stem}"] = row
            note(recipes=table)
    bad = [name for name, row in table.items() if not row["bit-equal"] and not row["varying"]]
    assert not bad, f"the same seed gave other numbers, and PyTorch did not say why: {bad}"


def reduced_precision(note):
    """Large images in bfloat16, where the hardware has it, against float32; and SimCLR."""
    task = photographs(16 if TINY else 64, 64 if TINY else 128)
    recipe, chosen = replace(SCRATCH, source="resnet18", steps=2 if TINY else 40, batch_size=8, lr=1e-3), loop.reduced
    low = h.fit(recipe, task)
    loop.reduced = lambda where, size: TINY  # a CPU has it, too, if slowly
    other = h.fit(recipe, task)
    loop.reduced = chosen
    note(losses=[low.kept["train_loss"], other.kept["train_loss"]], seconds_of_both=[low.seconds, other.seconds])
    assert low.logits.isfinite().all() and low.kept["train_loss"] < 1.5 * other.kept["train_loss"]
    pixels = task.train.pixels[:, :, :64, :64].contiguous()
    train_simclr(pixels, epochs=2, after_epoch=lambda epoch, task: note(**{f"SimCLR, epoch {epoch}": task.loss}))


def saved_and_resumed(note):
    """Saved and loaded, a network answers alike, on the CPU by hand, too; an interrupted training ends as the uninterrupted."""
    task, recipe, folder = small_task(), RECIPES[-1], PLACE["folder"]
    run = h.fit(recipe, task)
    back = h.load_classifier(run.classifier.save(folder / "saved.safetensors"))
    with torch.no_grad():
        by_hand = run.model(run.classifier.backbone.normalise(task.test.pixels))

    class Stop(Deaf):
        def step(self, count=1):
            self.count += count
            if self.count > 11:
                raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        h.fit(recipe, task, checkpoint=folder / "checkpoints", progress=Stop())
    resumed = h.fit(recipe, task, checkpoint=folder / "checkpoints")
    found = {"reloaded": torch.equal(back.logits(task.test), run.logits), "resumed": torch.equal(resumed.logits, run.logits),
             "on the CPU": {tensor.device.type for tensor in (by_hand, *run.model.state_dict().values())} == {"cpu"},
             "by hand": torch.allclose(by_hand, run.logits, atol=1e-3)}  # fmt: skip
    note(**found)
    assert all(found.values())


def run_notebook(path):
    """{cell: its error} of a notebook's code cells, run with the full budget on the made-up photographs, in short trainings."""
    os.environ.update(COURSE_RUN="full", COURSE_IMAGES=str(PLACE["folder"] / "photographs"))
    names, errors, where = {}, {}, PLACE["folder"] / path.parent.name / path.stem
    where.mkdir(parents=True)
    os.chdir(where)
    torch.set_num_threads(2)
    builtins.display = lambda *args, **kwargs: None
    with pytest.MonkeyPatch.context() as monkeypatch:
        shorten(monkeypatch)
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code" and "setup" not in cell["metadata"].get("tags", []):
                code = compile("".join(cell["source"]), f"{path.stem}:{cell['id']}", "exec")
                try:
                    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
                        exec(code, names)
                except Exception as error:
                    errors[cell["id"]] = f"{type(error).__name__}: {error}"[:300]
    return errors


def notebooks(note):
    """Every notebook and solution, a process each."""
    paths = sum((sorted((ROOT / name).glob("*.ipynb")) for name in ("notebooks", "notebooks/appendix", "solutions")), [])
    paths = paths[:1] if TINY else sorted(paths, key=lambda path: -path.stat().st_size)  # the long ones first
    table, seconds, started = {}, {}, time.perf_counter()
    with ProcessPoolExecutor(min(len(paths), max(1, len(os.sched_getaffinity(0)) // 2)), FORK) as pool:
        futures = {pool.submit(run_notebook, path): path.stem for path in paths}
        for future in as_completed(futures):
            table[futures[future]], seconds[futures[future]] = future.result(), round(time.perf_counter() - started)
            note(errors_by_cell=table, done_after=seconds, waiting=sorted({*futures.values()} - {*table}))
    assert not any(table.values()), f"cells failed in {[name for name, errors in table.items() if errors]}"


def memory(note):
    """What training takes under the memory of a T4, and that it is given back."""
    where = device()
    if where.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(min(1.0, CAP / torch.cuda.get_device_properties(where).total_memory), where)
    task, peaks = photographs(10 if TINY else 256), {}
    for arch in ("resnet18",) if TINY else ("resnet50", "vgg16"):
        h.fit(replace(SCRATCH, source=arch, batchnorm="as frozen", steps=2, batch_size=min(32, len(task.train)), lr=1e-5), task)
        peaks[arch] = torch.cuda.max_memory_allocated() / 1e9  # 0 without CUDA
        note(peak_gigabytes_so_far=peaks)
    for _ in range(1 if TINY else 6):
        h.fit(replace(FINE_TUNE_ALL, source="garden", steps=2), small_task())
    note(gigabytes_left_after_fits=torch.cuda.memory_allocated() / 1e9)
    assert torch.cuda.memory_allocated() < 0.5e9


def bare(arch, batch, steps):
    """Images a second of forward and backward alone, on a resident batch, in the precision that `fit` takes."""
    where = device()
    model = get_model(arch, weights=None, num_classes=10).to(where, memory_format=torch.channels_last).train()
    images = torch.randn(batch, 3, SIZE, SIZE, device=where).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=where) % 10
    for step in range(steps + 5):
        if step == 5:
            started = now()
        with torch.autocast(where.type, torch.bfloat16, enabled=loop.reduced(where, SIZE)):
            loss = F.cross_entropy(model(images), labels)
        model.zero_grad()
        loss.backward()
    return batch * steps / (now() - started)


def throughput(note):
    """Images a second of `fit`, augmentation and optimizer included, and its share of the bare passes."""
    few, many, table = (1, 3, {}) if TINY else (10, 50, {})
    for arch in ("resnet18",) if TINY else ("resnet18", "resnet50"):
        for batch in BATCHES:
            task = replace(photographs(max(batch, 8 if TINY else 512)), val=photographs(10).val, test=photographs(10).test)
            recipe = replace(SCRATCH, source=arch, batch_size=batch, lr=1e-4)
            h.fit(replace(recipe, steps=few), task)  # warms up
            seconds = [h.fit(replace(recipe, steps=steps), task).seconds for steps in (few, many + few)]
            ours, plain = batch * many / (seconds[1] - seconds[0]), bare(arch, batch, many)
            table[f"{arch}, batches of {batch}"] = {"images/s": ours, "bare images/s": plain, "share": ours / plain}
            note(throughput=table, size=SIZE, bf16=loop.reduced(device(), SIZE))
    slow = [name for name, row in table.items() if row["share"] < ENOUGH and name.endswith(f" {BATCHES[-1]}")]
    assert TINY or not slow, f"below {ENOUGH:.0%} of the bare passes: {slow}"


PARTS = {
    "hardware": (hardware, 30 * PATIENCE),
    "throughput": (throughput, 75 * PATIENCE),
    "recipes": (recipes, 70 * PATIENCE),
    "saved and resumed": (saved_and_resumed, 30 * PATIENCE),
    "reduced precision": (reduced_precision, 40 * PATIENCE),
    "memory": (memory, 40 * PATIENCE),
    "notebooks": (notebooks, 140 * PATIENCE),
    "tests of the core": (core_tests, 100 * PATIENCE),
}
