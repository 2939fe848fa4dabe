"""Files of a model from the Hugging Face hub, through its own client and cache: announced, and held against their hash."""

import hashlib
import json
import os
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from helpers.data.downloads import Gone, Offline, Refused, megabytes
from helpers.data.downloads import offline as _forbidden
from helpers.notebook.progress import Progress

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"  # large models come in parts, with a list of them
INSTEAD = "load_backbone('garden'), the source model that comes with the course"


def hub_folder(repo: str, revision: str, plain: list[str], weights: bool, offline: bool | None = None) -> Path:
    """The folder in the hub's own cache that holds a model's files, which are fetched if they are not there yet.

    repo: "microsoft/resnet-18". revision: "main", or a commit, which never changes. plain: small files that are needed;
    weights: whether the weights are, too, which must be safetensors.
    What is there is used without a connection; what is fetched is announced first, and checked.
    Raises Offline, Gone (no such model, revision or file), Refused (not open to everybody), and ValueError for
    weights in another form, and for wrong bytes, which are not kept.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ValueError(f"{repo!r} names no model of the Hugging Face hub: they are like 'hf:microsoft/resnet-18'") from error
    found = (try_to_load_from_cache(repo, name, revision=revision) for name in [*plain, WEIGHTS, INDEX])
    folder = next((Path(file).parent for file in found if isinstance(file, str)), None)
    if folder and not _missing(folder, plain, weights):
        return folder
    what = f"{repo}, a model of the Hugging Face hub,"
    if _forbidden(offline):
        raise _offline(what, "must not be fetched: offline=True or COURSE_OFFLINE forbids it", repo)
    about = _asked(repo, revision, what)
    sizes = {file.rfilename: file for file in about.siblings}
    wanted = [*plain, *_weights(repo, list(sizes))] if weights else plain
    if lost := [name for name in wanted if name not in sizes]:
        raise Gone(f"{repo} has no {lost[0]}, which is needed: it may be no classifier of images. It has {', '.join(sizes)}")
    todo = [sizes[name] for name in wanted if not _there(repo, name, revision, about.sha)]
    _announce(repo, about, todo)
    line = Progress(sum(file.size or 0 for file in todo), f"{repo}:", megabytes=True)
    try:
        for file in todo:
            folder = _fetched(repo, revision, file, line, what).parent
    except BaseException:
        line.done(f"{repo}: stopped")
        raise
    line.done(f"{repo}: fetched, {megabytes(sum(file.size or 0 for file in todo))}; hashes are right")
    return folder


def _missing(folder: Path, plain: list[str], weights: bool) -> list[str]:
    names = list(plain)
    if weights and not (folder / WEIGHTS).is_file():
        index = folder / INDEX
        parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values() if index.is_file() else []
        names += [INDEX, *parts]
    return [name for name in names if not (folder / name).is_file()]


def _weights(repo: str, names: list[str]) -> list[str]:
    if WEIGHTS in names:
        return [WEIGHTS]
    if INDEX in names:
        return [INDEX, *(name for name in names if fnmatch(name, "model-*-of-*.safetensors"))]
    others = [name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack"))]
    raise ValueError(
        f"{repo} is refused: it has no {WEIGHTS}" + (f", only {', '.join(others)}" if others else "") + ". Weights in other "
        "forms may hold code, which would run when they are loaded. Choose a model with safetensors"
    )


def _there(repo: str, name: str, revision: str, commit: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    files = [try_to_load_from_cache(repo, name, revision=place) for place in (revision, commit)]
    return all(isinstance(file, str) and Path(file).parent.name == commit for file in files)


def _asked(repo: str, revision: str, what: str):
    """What the hub says of a model: its files with lengths and hashes, and its licence."""
    from huggingface_hub import HfApi

    try:
        with _without_telemetry():
            api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
            return api.model_info(repo, revision=revision, files_metadata=True, timeout=20)
    except Exception as error:
        raise _explained(error, repo, revision, what) from error


_CUT = ("RemoteProtocolError", "ReadError", "ChunkedEncodingError")  # of httpx and requests


def _fetched(repo: str, revision: str, file, line: Progress, what: str) -> Path:
    from huggingface_hub import hf_hub_download

    class Bar(_Bar):
        shown = line

    for tries_left in (2, 1, 0):
        try:
            with _without_telemetry():
                path = Path(hf_hub_download(repo, file.rfilename, revision=revision, tqdm_class=Bar,
                                            endpoint=os.environ.get("HF_ENDPOINT")))  # fmt: skip
            break
        except Exception as error:
            if not (tries_left and type(error).__name__ in _CUT):  # older clients do not go on by themselves
                raise _explained(error, repo, revision, what) from error
    if file.lfs:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        wrong = digest != file.lfs.sha256 and f"its sha256 is {digest}, expected was {file.lfs.sha256}"
    else:
        content = path.read_bytes()  # of small files git's own hash is known
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        wrong = file.blob_id != digest and f"its hash in git is {digest}, expected was {file.blob_id}"
    if wrong:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise ValueError(f"{what} came with wrong bytes in {file.rfilename}: {wrong}. They were not kept: try again.")
    return path


@contextmanager
def _without_telemetry():
    """The client tells the hub which libraries and programs it runs in; not from here."""
    from huggingface_hub import constants

    before, constants.HF_HUB_DISABLE_TELEMETRY = constants.HF_HUB_DISABLE_TELEMETRY, True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = before


class _Bar:
    """A bar as the hub's client wants one, which moves the line of this course."""

    shown: Progress

    def __init__(self, *_, initial=0, **__):
        self.shown.count += initial
        self.shown.before += initial

    def update(self, count=1):
        self.shown.step(int(count))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __getattr__(self, name):
        return lambda *args, **kwargs: None  # set_description, close, refresh, ...


def _announce(repo: str, about, files: list) -> None:
    from huggingface_hub import constants

    licences = [tag.removeprefix("license:") for tag in about.tags or [] if tag.startswith("license:")]
    licence = f" (licence: {licences[0]})" if licences else " (its page names no licence)"
    size = megabytes(sum(file.size or 0 for file in files))
    names = ", ".join(file.rfilename for file in files)
    print(f"Fetching {repo}{licence} from {_host()}: {names}, {size}, to {constants.HF_HUB_CACHE}", flush=True)


def _host() -> str:
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).partition("//")[2]


def _explained(error: Exception, repo: str, revision: str, what: str) -> Exception:
    """The client's error in the words of `downloads`."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return Refused(f"{repo} is not open to everybody: accept its terms at {_host()}/{repo}, and log in with `hf auth login`")
    if isinstance(error, errors.RevisionNotFoundError):
        return Gone(f"{repo} has no revision {revision!r}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return Gone(f"{_host()} has no model {repo}, or not for everybody. Is its name right?")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (403, 404, 410):
        kind = Refused if status == 403 else Gone
        return kind(f"{_host()} answers {status} when it is asked for {repo}, revision {revision!r}. Is its name right?")
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return _offline(what, f"cannot be fetched now ({reason})", repo)


def _offline(what: str, why: str, repo: str) -> Offline:
    from huggingface_hub import constants

    return Offline(
        f"{what} is not on this machine, and {why}. Wanted: its files below {constants.HF_HUB_CACHE}: run `hf download {repo}` "
        f"where there is a network, and copy that folder. Or without a network: {INSTEAD}"
    )
