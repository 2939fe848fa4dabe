"""Source models of timm and of the Hugging Face hub: which pass the invariants, what comes with them, what is refused.

The hub is a stand-in on this machine; its client, the libraries and the files are the real ones.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fits import short, small_task
from hub_origin import COMMIT, files_of, publish_model
from origin import Origin
from PIL import Image
from safetensors.torch import load_file, save
from torch import nn
from torch.nn.functional import cross_entropy

timm = pytest.importorskip("timm", reason="the extra 'hubs' is not installed")
transformers = pytest.importorskip("transformers", reason="the extra 'hubs' is not installed")

from test_invariants import Witness, assert_equal, freezing_of, tensors_of_stages  # noqa: E402

from helpers.data.downloads import Gone, Offline, Refused  # noqa: E402
from helpers.freezing import freeze, parameter_groups  # noqa: E402
from helpers.heads import find_head, swap_head  # noqa: E402
from helpers.lessons.goldfinches.saliency import class_map  # noqa: E402
from helpers.sources.backbones import load_backbone  # noqa: E402
from helpers.sources.chains import FAMILIES, Chain  # noqa: E402
from helpers.stages import part, split, stage_names, stages  # noqa: E402
from helpers.training.classifier import load_classifier  # noqa: E402
from helpers.training.costs import summary  # noqa: E402
from helpers.training.fitting import fit  # noqa: E402
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_LAST  # noqa: E402

SMALL_VIT = {"img_size": 32, "embed_dim": 24, "depth": 3, "num_heads": 3}
TIMM = {  # family: a small one of it, and what makes it smaller
    "resnet": ("test_resnet", {}),
    "convnext": ("test_convnext", {}),
    "efficientnet": ("test_efficientnet", {}),
    "mobilenetv3": ("mobilenetv3_small_050", {}),
    "regnet": ("regnetx_002", {}),
    "densenet": ("densenet121", {"growth_rate": 8, "block_config": (1, 1, 1, 1)}),
    "mixer": (timm.models.mlp_mixer.MlpMixer, {"img_size": 32, "patch_size": 16, "num_blocks": 2, "embed_dim": 16}),
    "vit": ("vit_tiny_patch16_224", SMALL_VIT),
    "deit": ("deit_tiny_patch16_224", SMALL_VIT),
    "deit3": ("deit3_small_patch16_224", SMALL_VIT),
    "dinov2": ("vit_small_patch14_reg4_dinov2", SMALL_VIT | {"patch_size": 16, "num_classes": 3}),
    "beit": ("beit_base_patch16_224", SMALL_VIT),
    "cait": ("cait_xxs24_224", SMALL_VIT),
    "swin": ("swin_tiny_patch4_window7_224",
             {"img_size": 32, "window_size": 4, "embed_dim": 8, "depths": (1, 2), "num_heads": (1, 2)}),
    "nfnet": ("test_nfnet", {}),
    "byobnet": ("test_byobnet", {}),
    "coatnet": ("test_coatnet", {"img_size": 64}),
    "maxvit": ("test_maxvit", {"img_size": 64}),
}  # fmt: skip

_CNN = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_labels": 3}
_VIT = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32,
        "patch_size": 8, "num_labels": 3, "hidden_dropout_prob": 0.1}  # fmt: skip
HUGGING_FACE = {  # family: its class, and what makes it small
    "resnet": ("ResNet", _CNN | {"embedding_size": 8, "layer_type": "basic"}),
    "regnet": ("RegNet", _CNN | {"embedding_size": 8, "groups_width": 8}),
    "convnext": ("ConvNext", _CNN | {"drop_path_rate": 0.1}),
    "convnextv2": ("ConvNextV2", _CNN),
    "vit": ("ViT", _VIT),
    "deit": ("DeiT", _VIT),
    "dinov2": ("Dinov2", _VIT),
    "swin": ("Swin", {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4,
                      "num_labels": 3}),
    "mobilenet_v1": ("MobileNetV1", {"image_size": 32, "depth_multiplier": 0.1, "min_depth": 4, "num_labels": 3}),
    "mobilenet_v2": ("MobileNetV2", {"image_size": 32, "depth_multiplier": 0.1, "min_depth": 4, "num_labels": 3}),
}  # fmt: skip


def original(family: str) -> nn.Module:
    """A random classifier of transformers."""
    name, small = HUGGING_FACE[family]
    config = getattr(transformers, f"{name}Config")(**small)
    return getattr(transformers, f"{name}ForImageClassification")(config)


def build(hub: str, family: str) -> tuple[nn.Module, int]:
    """A random network of a family, and the width of the images that it takes."""
    torch.manual_seed(0)
    if hub == "hf":
        return Chain(original(family), family), 32
    name, small = TIMM[family]
    if isinstance(name, str) and not timm.is_model(name):
        pytest.skip(f"timm {timm.__version__} has no {name}")
    return (timm.create_model(name, **small) if isinstance(name, str) else name(**small)), small.get("img_size", 32)


ALL = [("timm", family) for family in TIMM] + [("hf", family) for family in HUGGING_FACE]


@pytest.mark.parametrize("hub, family", ALL)
def test_I1_to_I4_hold_for_the_family(hub, family):
    (model, size), (other, _) = build(hub, family), build(hub, family)
    swap_head(model, 5)
    images, labels = torch.randn(3, 3, size, size), torch.tensor([0, 1, 4])
    names = stage_names(model)
    middle = names[len(names) // 2]

    # I4: freezing depends on the place only, and not on when the head is swapped
    model.train()
    frozen = freezing_of(freeze(model, middle))
    freeze(freeze(model, -1), 0)
    assert freezing_of(freeze(model, middle)) == frozen == freezing_of(swap_head(freeze(other.train(), middle), 5))

    # I3: one stage after the other is the model, so a cut anywhere is
    model.eval()
    found = stages(model)
    inputs, value = [None, *(stage.input for stage in found[1:]), None], images
    with torch.no_grad():
        for i, stage in enumerate(found):
            value = part(model, [stage], start=inputs[i], end=inputs[i + 1])(value)
        assert_equal(value, model(images))

    # I2, I3: what the suffix reaches is what trains, with the same gradients (autograd says which)
    model.train()
    torch.manual_seed(1)
    logits = model(images)
    cross_entropy(logits, labels).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    prefix, suffix = split(model, middle)
    with torch.no_grad():
        features = prefix(images)  # still frozen: torch.matmul sums in another order where a weight wants a gradient (mixer)
    model.requires_grad_(True)
    torch.manual_seed(1)
    again = suffix(features)
    cross_entropy(again, labels).backward()
    assert_equal(again, logits)
    reached = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert reached.keys() == {name for name, gradient in gradients.items() if gradient is not None}
    assert 0 < len(reached) < len(list(model.parameters()))
    for name, gradient in reached.items():
        assert_equal(gradient, gradients[name])
    model.zero_grad()

    # I1: frozen means frozen
    freeze(model, middle)
    optimizer = torch.optim.SGD(parameter_groups(model, lr=0.01, weight_decay=0.1), momentum=0.9)
    still = Witness(tensors_of_stages(model, names[: names.index(middle)])
                    | {name: p for name, p in model.named_parameters() if not p.requires_grad})  # fmt: skip
    moving = Witness({name: p for name, p in model.named_parameters() if name in reached})
    for _ in range(2):
        cross_entropy(model.train()(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not still.changed() and moving.changed() == reached.keys()
    assert model(images).isfinite().all()


def test_every_family_of_hugging_face_that_is_accepted_is_tested():
    assert FAMILIES.keys() == HUGGING_FACE.keys()


# --- the hub ---

TINY = "hf:course/tiny"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(a random ResNet of transformers, the files that save_pretrained makes of it and its image processor)."""
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(3)
    model, folder = original("resnet"), tmp_path_factory.mktemp("pretrained")
    model.config.id2label = {0: "ash", 1: "birch", 2: "cedar"}
    model.save_pretrained(folder)
    processor = transformers.ConvNextImageProcessor(
        size={"shortest_edge": 32}, crop_pct=0.5, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.25, 0.3]
    )
    processor.save_pretrained(folder)
    return model, files_of(folder)


@pytest.fixture
def hub(monkeypatch, tmp_path, written):
    """A hub with course/tiny, and an empty cache: (what is asked, what is served from elsewhere)."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with Origin() as origin, Origin() as store:
        monkeypatch.setenv("HF_ENDPOINT", origin.address)
        publish_model(origin, store, "course/tiny", written[1])
        yield origin, store


def same(model, state):
    own = model.state_dict()
    return own.keys() == state.keys() and all(torch.equal(tensor, own[name]) for name, tensor in state.items())


def blobs():
    from huggingface_hub import constants

    return [file for file in Path(constants.HF_HUB_CACHE).rglob("*") if file.is_file() and "blobs" in file.parts]


def test_a_model_of_hugging_face_comes_announced_with_its_classes_and_preprocessing(hub, written, capsys):
    origin, store = hub
    backbone = load_backbone(TINY)
    said = capsys.readouterr().out
    total = sum(map(len, written[1].values()))
    assert said.startswith("Fetching course/tiny (licence: apache-2.0) from 127.0.0.1") and f"{total:,} bytes, to " in said
    assert "model.safetensors" in said.splitlines()[0] and "hashes are right" in said
    assert same(backbone.model, written[0].state_dict()) and backbone.model.training
    assert (backbone.name, backbone.classes, backbone.size) == (TINY, ["ash", "birch", "cedar"], 32)
    assert (backbone.mean, backbone.std) == ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
    assert backbone.weights == f"course/tiny@{COMMIT}"
    pixels = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    assert torch.allclose(backbone.normalise(pixels[None])[0].mean((1, 2)), backbone.transforms(pixels).mean((1, 2)), atol=0.5)
    picture = Image.effect_mandelbrot((90, 70), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    processor = transformers.ConvNextImageProcessor(**json.loads(written[1]["preprocessor_config.json"]))
    assert torch.equal(backbone.transforms(picture), processor(picture, return_tensors="pt")["pixel_values"][0])
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(backbone.model.eval()(images), written[0].eval()(pixel_values=images).logits)
    assert all(asked.path.startswith(("/api/models/course/tiny", "/course/tiny/resolve/")) for asked in origin.requests)
    assert not any("torch/" in asked.headers["User-Agent"] for asked in origin.requests + store.requests)  # no telemetry
    asked = len(origin.requests) + len(store.requests)
    again = load_backbone(f"{TINY}@{COMMIT}", offline=True)
    assert same(again.model, written[0].state_dict()) and capsys.readouterr().out == ""
    assert len(origin.requests) + len(store.requests) == asked


def test_a_random_one_needs_the_description_and_no_weights(hub, written):
    origin, store = hub
    backbone = load_backbone(TINY, weights=None)
    assert not store.requests and not any("safetensors" in asked.path for asked in origin.requests)
    assert (backbone.classes, backbone.weights, backbone.size) == ([], None, 32)
    assert not same(backbone.model, written[0].state_dict())
    with pytest.raises(Offline, match="must not be fetched"):
        load_backbone(TINY, offline=True)


def test_offline_nothing_is_asked(hub, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    for name in (TINY, "timm:test_resnet.r160_in1k"):
        with pytest.raises(Offline, match="must not be fetched.*hf download.*load_backbone.'garden'"):
            load_backbone(name)
    assert not hub[0].requests


@pytest.mark.parametrize("where", ["page", "file"])
@pytest.mark.parametrize("how", [500, 403])
def test_a_hub_that_is_down_or_forbids_is_said(hub, monkeypatch, where, how):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    origin, store = hub
    if where == "page":
        origin.behave("/api/models/course/tiny/revision/main", always=how)
    else:
        (path,) = store.files
        store.behave(path, always=how)
    with pytest.raises(Offline if how == 500 else Refused, match="course/tiny"):
        load_backbone(TINY)
    assert not any(file.name.endswith("safetensors") for file in blobs())


def test_no_network_at_all_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Offline, match="course/tiny, .* cannot be fetched now .*load_backbone.'garden'"):
        load_backbone(TINY)


def test_a_download_that_is_cut_goes_on_where_it_stopped(hub, written, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)  # of 10 MB: what it writes at once
    (path,) = hub[1].files
    hub[1].behave(path, "cut")
    assert same(load_backbone(TINY).model, written[0].state_dict())
    assert [bool(asked.headers.get("Range")) for asked in hub[1].requests] == [False, True]


@pytest.mark.parametrize("which", ["weights", "config"])
def test_wrong_bytes_are_refused_and_not_kept(hub, written, which):
    origin, store = hub
    if which == "weights":
        (path,) = store.files
        store.behave(path, "wrong")
    else:
        content = written[1]["config.json"].replace(b"ash", b"oak")
        headers = {"X-Repo-Commit": COMMIT, "ETag": '"any"', "Content-Length": str(len(content))}
        origin.behave("/course/tiny/resolve/main/config.json", always=lambda _: (200, headers, content))
    with pytest.raises(ValueError, match="course/tiny.* wrong bytes in .*expected was .*not kept"):
        load_backbone(TINY)
    if which == "weights":
        assert same(load_backbone(TINY).model, written[0].state_dict())


def test_what_the_hub_does_not_have_is_said(hub, written):
    origin, store = hub
    with pytest.raises(Gone, match="404.*course/absent.*Is its name right"):
        load_backbone("hf:course/absent")
    with pytest.raises(ValueError, match="names no model of the Hugging Face hub: they are like"):
        load_backbone("hf:a/b/c")
    files = dict(written[1])
    processor = files.pop("preprocessor_config.json")
    publish_model(origin, store, "course/bare", files)
    with pytest.raises(Gone, match="has no preprocessor_config.json, which is needed"):
        load_backbone("hf:course/bare")
    pickled = {"config.json": files["config.json"], "preprocessor_config.json": processor, "pytorch_model.bin": b"code"}
    publish_model(origin, store, "course/pickled", pickled)
    with pytest.raises(ValueError, match="has no model.safetensors, only pytorch_model.bin.*may hold code"):
        load_backbone("hf:course/pickled")
    assert not any("pytorch_model" in asked.path for asked in origin.requests)
    with pytest.raises(Gone, match="revision 'v9'"):
        load_backbone(f"{TINY}@v9")
    gated = lambda _: (403, {"X-Error-Code": "GatedRepo"}, b"")
    origin.behave("/course/tiny/resolve/main/model.safetensors", always=gated)
    with pytest.raises(Refused, match="course/tiny is not open to everybody: accept its terms at .*, and log in"):
        load_backbone(TINY)


def altered(written, config=None, tensors=None, preprocessor=None):
    """The files of the tiny model with something else in them."""
    model, files = written
    files = dict(files)
    for name, changes in (("config.json", config), ("preprocessor_config.json", preprocessor)):
        files[name] = json.dumps(json.loads(files[name]) | (changes or {})).encode()
    if tensors:
        files["model.safetensors"] = save(tensors(dict(model.state_dict())), {"format": "pt"})
    return files


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"config": {"model_type": "mobilevit", "architectures": ["MobileViTForImageClassification"]}}, "families resnet, "),
        ({"config": {"architectures": ["ResNetModel"]}}, "it is a ResNetModel"),
        ({"config": {"model_type": "own", "auto_map": {"AutoConfig": "code.OwnConfig"}}}, "without running code"),
        ({"tensors": lambda state: {n: t for n, t in state.items() if "classifier" not in n}}, "2 missing: classifier.1.bias"),
        ({"tensors": lambda state: state | {"more": torch.ones(1)}}, "1 left over: more"),
        ({"tensors": lambda state: state | {"classifier.1.bias": torch.ones(5)}}, "1 of another shape: .*classifier.1.bias"),
        ({"tensors": lambda state: state | {"classifier.1.bias": torch.full((3,), float("nan"))}}, "no number"),
        ({"preprocessor": {"image_mean": [0, 0, 0], "rescale_factor": 0.01}}, "does more to the pixels"),
    ],
    ids=["family", "no classifier", "code", "missing", "left over", "shape", "nan", "preprocessing"],
)  # fmt: skip
def test_models_of_hugging_face_that_do_not_fit_are_refused(hub, written, changes, said):
    publish_model(*hub, "course/odd", altered(written, **changes))
    with pytest.raises(ValueError, match=f"(?s)course.odd.*({said})"):
        load_backbone("hf:course/odd")


def test_weights_in_several_parts_are_fetched_whole(hub, written, tmp_path):
    written[0].save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    files = files_of(tmp_path / "parts") | {"preprocessor_config.json": written[1]["preprocessor_config.json"]}
    parts = [name for name in files if "-of-" in name]
    publish_model(*hub, "course/parts", files)
    assert len(parts) > 1 and same(load_backbone("hf:course/parts").model, written[0].state_dict())
    assert same(load_backbone("hf:course/parts", offline=True).model, written[0].state_dict())
    assert len(hub[1].requests) == len(parts)
    lost = next(file for file in blobs() if file.read_bytes() == files[parts[0]])
    lost.unlink()
    with pytest.raises(Offline, match="course/parts"):
        load_backbone("hf:course/parts", offline=True)


def test_half_precision_is_loaded_as_float32(hub, written):
    half = lambda state: {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    publish_model(*hub, "course/half", altered(written, tensors=half, config={"dtype": "float16"}))
    model = load_backbone("hf:course/half").model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.classifier[1].weight, written[0].classifier[1].weight.half().float())


# --- timm ---


@pytest.fixture(scope="module")
def tiny_timm():
    torch.manual_seed(4)
    model = timm.create_model("test_resnet.r160_in1k")
    return model, {"config.json": b"{}", "model.safetensors": save(model.state_dict(), {"format": "pt"})}


def test_a_model_of_timm_comes_from_the_hub_with_its_classes_and_preprocessing(hub, tiny_timm, capsys):
    publish_model(*hub, "timm/test_resnet.r160_in1k", tiny_timm[1])
    backbone = load_backbone("timm:test_resnet.r160_in1k")
    assert "Fetching timm/test_resnet.r160_in1k (licence: apache-2.0) from 127.0.0.1" in capsys.readouterr().out
    assert same(backbone.model, tiny_timm[0].state_dict()) and backbone.model.training
    assert backbone.weights == "test_resnet.r160_in1k" and backbone.size == 160
    assert len(backbone.classes) == 1000 and backbone.classes[11] == "goldfinch, Carduelis carduelis"
    config = timm.data.resolve_data_config(model=tiny_timm[0])
    assert (backbone.mean, backbone.std) == (config["mean"], config["std"])
    picture = Image.effect_mandelbrot((300, 260), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    assert torch.equal(backbone.transforms(picture), timm.data.create_transform(**config)(picture))
    grey = torch.full((3, 200, 200), 99, dtype=torch.uint8)
    assert torch.allclose(backbone.transforms(grey), backbone.normalise(grey[None, :, :160, :160])[0], atol=1e-6)
    assert same(load_backbone("timm:test_resnet.r160_in1k", offline=True).model, tiny_timm[0].state_dict())


def test_weights_that_do_not_fit_the_model_of_timm_are_refused(hub, tiny_timm):
    state = {name: tensor for name, tensor in tiny_timm[0].state_dict().items() if name != "fc.bias"}
    publish_model(*hub, "timm/test_resnet.r160_in1k", {"model.safetensors": save(state)})
    with pytest.raises(ValueError, match="(?s)does not hold timm's test_resnet.r160_in1k: .*fc.bias"):
        load_backbone("timm:test_resnet.r160_in1k")


@pytest.mark.parametrize(
    "name, said",
    [
        ("timm:resnet19", "has no model 'resnet19'. Did you mean .*'resnet18'"),
        ("timm:resnet18.a1_in", "Did you mean 'resnet18.a1_in1k'"),
        ("timm:deit_tiny_distilled_patch16_224", "cannot be used here: cannot cut VisionTransformerDistilled before its head"),
        ("timm:ghostnet_050", "takes other steps in training than in evaluation"),
    ],
)
def test_models_of_timm_that_are_unknown_or_cannot_be_cut_are_refused(name, said):
    with pytest.raises(ValueError, match=said):
        load_backbone(name, weights=None)


def test_a_random_model_of_timm_needs_no_network_and_one_without_classes_gets_a_head(monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    backbone = load_backbone("timm:test_convnext", weights=None)
    assert (backbone.classes, backbone.weights, backbone.size) == ([], None, 160)
    from helpers.sources import timmodels

    model = timm.create_model("vit_tiny_patch16_224", **SMALL_VIT, num_classes=0)
    timmodels._without_classes(model, "timm:vit_tiny_patch16_224")
    assert find_head(model) == "head" and model.head.out_features == 1 and not model.head.weight.any()


def test_a_missing_library_is_said_with_what_to_install(monkeypatch):
    for name, library in (("timm:resnet18", "timm"), (TINY, "transformers")):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(ModuleNotFoundError, match=f"not installed here: run `pip install {library}`"):
            load_backbone(name)


# --- what the course does with source models ---


@pytest.mark.parametrize("name", [TINY, "timm:test_resnet.r160_in1k"])
def test_a_source_by_name_is_summed_up_fitted_mapped_saved_and_read_back_without_a_network(name, hub, tiny_timm, tmp_path):
    publish_model(*hub, "timm/test_resnet.r160_in1k", tiny_timm[1])
    recipe = short(replace(FINE_TUNE_LAST, source=name, upto=-2) if name == TINY else replace(FEATURE_EXTRACTION, source=name))
    run = fit(replace(recipe, steps=3), small_task())
    assert len(summary(run.model, 32).rows) == len(stage_names(run.model))
    images = small_task().test.pixels
    maps = class_map(run.model, run.classifier.backbone.normalise(images), 1)
    assert torch.allclose(maps.mean((1, 2)) + run.model.get_submodule(find_head(run.model)).bias[1], run.logits[:, 1], atol=1e-4)
    path = run.classifier.save(tmp_path / "mine.safetensors")
    hub[0].behave("/api/models/course/tiny/revision/main", always=500)
    for file in blobs():
        file.unlink()
    again = load_classifier(path)
    assert torch.equal(again.logits(images), run.logits) and again.classes == small_task().classes
    assert load_file(path).keys() == run.model.state_dict().keys()
