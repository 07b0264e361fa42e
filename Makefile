# Two commands do everything, set-up included:  make demo   and   make test
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN = $(UV) run --frozen --no-sync
export UV_PROJECT_ENVIRONMENT ?= .venv
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test check ci nightly bench docs screenshots setup setup-demo chromium clean

demo: setup-demo  ## segments of a real shop, then the pages on http://127.0.0.1:8765
	$(UV) run --frozen --no-sync kohort demo $(ARGS)

test: setup chromium  ## every test a laptop can run; what is skipped says why
	$(RUN) pytest -q tests src --doctest-modules $(PYTEST_ARGS)

check: setup  ## about a minute: format, lint, types, unit tests, examples in docstrings
	$(RUN) ruff format --check src tests bench scripts
	$(RUN) ruff check src tests bench scripts
	$(RUN) mypy
	$(RUN) pytest -q -n auto --dist loadfile tests/unit src --doctest-modules -m "not slow and not browser and not spark and not ci and not kafka and not clients"

ci:  ## what continuous integration runs
	bash .ci/run

nightly: setup chromium  ## the full number of kills, power cuts and replays; hours
	KOHORT_NIGHTLY=true $(RUN) pytest -q tests -m nightly $(PYTEST_ARGS)

bench: setup  ## speed and memory against a peer, in one run
	$(RUN) python bench/run_all.py $(ARGS)

docs: setup  ## tables and screenshots in docs/, made anew
	$(RUN) python scripts/make_docs.py

screenshots: setup chromium  ## a picture of every page, docs/screens.md
	$(RUN) python scripts/screenshots.py $(ARGS)

setup: $(UV)
	$(UV) sync --frozen --quiet --compile-bytecode --extra map --extra identity --extra sources --extra oidc --extra image $(SYNC_ARGS)
	@$(UV_PROJECT_ENVIRONMENT)/bin/python -m compileall -q src

setup-demo: $(UV)
	$(UV) sync --frozen --quiet --compile-bytecode --no-dev --inexact
	@$(UV_PROJECT_ENVIRONMENT)/bin/python -m compileall -q src

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet uv

$(UV):

chromium:  ## Debian's Chromium for the browser tests, where we may install it
	@command -v chromium >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	  || echo "Chromium is absent and cannot be installed here: browser tests will be skipped."

clean:
	rm -rf demo-shop .pytest_cache .mypy_cache .ruff_cache
