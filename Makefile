# Everything happens in .venv, which is made once and again when what it is made from changes.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Two OpenMP pools on the same cores slow each other down tenfold: the tests run as processes of
# one thread each, at most one a core.
TEST_WORKERS := -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test lint wheel check-gpu bench-trees performance-page clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-zA-Z%-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "ARGS='...' is passed on: make demo ARGS='size=tiny seed=1', make test ARGS='-k journal'"

demo: $(READY) ## run the main job on procedural faces
	$(BIN)/vqlso run demo $(ARGS)

test: $(READY) ## run all tests; a skip for an unknown reason fails
	$(BIN)/python -m pytest $(TEST_WORKERS) $(ARGS)

lint: $(READY) ## style, types and the layers rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheel: $(READY) ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

bench-trees: $(READY) ## measure the tree optimiser beside its peers, in an environment with them
	$(BIN)/python -m benchmarks.trees.compare $(ARGS)

bench-%: $(READY) ## measure one thing beside its peers: make bench-refit, bench-training, ...
	$(BIN)/python -m benchmarks.$* $(ARGS)

performance-page: $(READY) ## write docs/performance.md from benchmarks/results/
	$(BIN)/python -m benchmarks.page

check-gpu: $(READY) ## train, query and compare with the CPU on this machine's GPU
	$(BIN)/python -m benchmarks.gpu_check

clean: ## remove .venv and everything that was built or cached; runs/ stays
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
