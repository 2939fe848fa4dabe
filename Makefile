# The commands of the course. `make` alone lists them.
# Where there is no make (Windows): the same commands in plain form are in README.md.

PYTHON ?= python3
IP     ?= 127.0.0.1
PORT   ?= 8888
JOBS   ?= 2

BIN := .venv/bin
# One line that says why the environment cannot be made, or nothing.
PROBLEM = $(shell command -v "$(PYTHON)" >/dev/null \
	&& "$(PYTHON)" tools/environment.py --check \
	|| echo "There is no '$(PYTHON)' here: install Python 3.11 or newer, on Debian or Ubuntu with 'apt install python3-venv'")
# Text browsers would take over the terminal: open one only where there is a screen.
SCREEN = $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname))
ROOT_FLAG = $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help lab test test-long test-colab test-oldest test-newest gpu demo fetch weights results labs book release slides lock lint clean environment

help: ## list these commands
	@echo "make COMMAND, where COMMAND is one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

lab: environment ## open the course in JupyterLab (IP=0.0.0.0: reachable from other machines; PORT=8888)
	@echo "JupyterLab is starting; Ctrl-C stops it."
	@$(BIN)/python -m jupyterlab --log-level=WARN --ip="$(IP)" --port="$(PORT)" $(ROOT_FLAG) \
		$(if $(SCREEN),,--no-browser) --LabApp.extension_manager=readonly \
		--ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

# Training takes and gives back large pieces of memory all the time; where glibc keeps them, fine-tuning a network takes an eighth
# to a quarter less processor time (two runs each, EfficientNet-Lite0 at 128 pixels). Elsewhere nothing reads these.
test test-long results: export MALLOC_MMAP_THRESHOLD_ = 4000000000
test test-long results: export MALLOC_TRIM_THRESHOLD_ = 8000000000

# instructors
test: environment ## run every test, the notebooks included (JOBS=2 at a time)
	@$(BIN)/python -m pytest -n "$(JOBS)" --dist loadscope

test-long: environment ## the tests that take too long for every run: kills, hostile files, fifty kernels (two hours)
	@COURSE_LONG=1 $(BIN)/python -m pytest tests/test_resuming.py tests/test_hostile_files.py \
		tests/test_properties.py tests/test_long_use.py tests/test_grading.py

test-colab: environment ## the tests of helpers and all notebooks with the versions that Google Colab has (5 GB)
	@$(BIN)/python tools/colab.py

test-oldest: environment ## every test with the lowest versions that pyproject.toml admits, on Python 3.11 (6 GB)
	@$(BIN)/python tools/versions.py oldest

test-newest: environment ## every test with the newest versions, on Python 3.13 (6 GB)
	@$(BIN)/python tools/versions.py newest

gpu: ## try the course on this machine's GPU, with the packages that are there: build/gpu.json (nine minutes at most)
	@"$(firstword $(wildcard $(BIN)/python) $(PYTHON))" tools/gpu.py
# /instructors

demo: environment ## transfer in the terminal, in about a minute (FOLDER=my_birds: on your own photographs)
	@$(BIN)/python tools/demo.py $(if $(FOLDER),"$(FOLDER)")

fetch: environment ## fetch photographs and weights for use offline (NAMES="flowers102 resnet18"; without: list them)
	@$(BIN)/python tools/fetch.py $(NAMES)

weights: environment ## train the shipped source models again, from code alone
	@$(BIN)/python tools/train_sources.py all
	@$(BIN)/python tools/train_sources.py all
	@$(BIN)/python tools/train_vit.py

results: environment ## measure the numbers that the course quotes again (NAMES="suite real": those that take more than a day)
	@$(BIN)/python tools/measure.py $(NAMES)

# instructors
labs: environment ## make the labs from their solutions again
	@$(BIN)/python tools/labs.py

release: environment ## build/release/*.zip: the course as students get it (FOLDER=..: into a folder, for a JupyterHub)
	@$(BIN)/python tools/release.py $(if $(FOLDER),"$(FOLDER)")

book: environment ## the web edition: build/book for students, build/book-instructors with solutions and notes
	@$(BIN)/python tools/book.py
	@$(BIN)/python tools/book.py --instructors

slides: environment ## slides of every lecture, for any browser, offline: build/slides/index.html
	@$(BIN)/python tools/slides.py

lint: environment ## check the style of code and notebooks, who imports whom, and the types of the core
	@$(BIN)/python -m ruff check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m mypy

lock: environment ## write requirements.lock from pyproject.toml (UPGRADE=1: with the newest versions)
	@$(BIN)/python -m uv pip compile pyproject.toml --extra lab --extra test --extra teach --universal --fork-strategy fewest \
		--python-version 3.11 --only-binary :all: --generate-hashes --no-annotate --no-emit-index-url \
		--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --quiet --output-file requirements.lock
# /instructors

clean: ## remove the environment and all that the commands above left behind
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .import_linter_cache build dist *.egg-info lightning_logs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment: # .venv as requirements.lock says; quick where it already is
	$(if $(PROBLEM),$(error $(PROBLEM)))
	@"$(PYTHON)" tools/environment.py
