PYTHON ?= python3
APP ?= 1
ARGS ?=
AT_ONCE ?= -n 2 --dist loadfile  # test files, each process with a database of its own

BIN := .venv/bin
SETUP := requirements.txt pyproject.toml scripts/setup_env.py

.DEFAULT_GOAL := help
.PHONY: help demo demo-video doctor test test-lowest lint benchmark screenshots clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s%s\n", $$1, $$2}'

demo: .venv/.ready  ## explore 1,797 digits and open the App; APP=0 stops after the report
	@$(BIN)/uvl demo $(if $(filter 0,$(APP)),--no-app)

demo-video: .venv/.ready  ## make clips, find their scenes, open the App; APP=0 stops after the report
	@$(BIN)/uvl demo-video $(if $(filter 0,$(APP)),--no-app)

doctor: .venv/.ready  ## what this computer has and lacks, and how to mend it
	@$(BIN)/uvl doctor

test: .venv/.ready-dev  ## run the tests; ARGS="-k kmeans" chooses some
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(AT_ONCE) $(ARGS)  # the processes share the cores

test-lowest:  ## run the tests with the oldest packages that are allowed
	$(PYTHON) scripts/setup_env.py --lowest
	.venv-lowest/bin/python -m pytest $(ARGS)

lint: .venv/.ready-dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: .venv/.ready-dev  ## speed beside FiftyOne, into benchmarks/RESULTS.md; ARGS="writes" chooses
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: .venv/.ready-dev  ## take the pictures of the documentation anew
	UVL_REQUIRE_BROWSER=1 UVL_SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/browser

clean:  ## remove environments, caches, and the demo with its database
	rm -rf .venv .venv-lowest .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

.venv/.ready: $(SETUP)
	@$(PYTHON) scripts/setup_env.py
	@touch $@

.venv/.ready-dev: $(SETUP)
	@$(PYTHON) scripts/setup_env.py --dev
	@touch .venv/.ready $@
