# Short targets over the `readmission` command and the usual tools; `make help` lists them.
# Everything is installed into .venv, nothing outside the checkout is changed.

.DEFAULT_GOAL := help
.NOTPARALLEL:

SOURCE ?= synthetic
HOME_DIR = $(or $(READMISSION_HOME),var)

BIN := .venv/bin
STAMP := .venv/.installed
UNFINISHED := .venv/.installing
SUPPORTED := , sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# Scripts in .venv name their folder: a checkout that was moved or copied installs afresh instead of running the old one.
MOVED := $(shell [ ! -e $(STAMP) ] || [ "$$(cat $(STAMP))" = "$$(pwd -P)" ] || echo moved)

# A relative path is taken from this folder and, when it is not there, from where make was called (make -C).
ARCHIVE_PATH = $(shell if [ ! -e "$(ARCHIVE)" ] && [ -e "$(PWD)/$(ARCHIVE)" ]; then echo "$(PWD)/$(ARCHIVE)"; else echo "$(ARCHIVE)"; fi)
WITH_ARCHIVE = $(if $(ARCHIVE),--archive "$(ARCHIVE_PATH)")

##@ Use

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@printf '\nVariables: SOURCE=synthetic|uci ARCHIVE=path ENCOUNTERS=n SEED=n PYTHON=python3.12 READMISSION_HOME=folder\n'

.PHONY: setup
setup: $(STAMP) ## install everything into .venv and prepare the home (about two minutes, 1.7 GB, once)
	@cmp -s dagster.yaml "$(HOME_DIR)/dagster/dagster.yaml" || $(BIN)/readmission setup

.PHONY: run
run: setup ## the whole life of a model: data, training, gates, promotion, predictions
	$(BIN)/readmission run --source $(SOURCE) $(WITH_ARCHIVE) $(if $(ENCOUNTERS),--encounters $(ENCOUNTERS)) $(if $(SEED),--seed $(SEED))

.PHONY: dev
dev: setup ## the Dagster UI on a free port; prints the address
	$(BIN)/readmission dev

.PHONY: mlflow
mlflow: setup ## the MLflow UI: runs, metrics, registered versions
	$(BIN)/readmission mlflow-ui

.PHONY: demo-blocked
demo-blocked: setup ## see a failing gate stop a model, and undo it
	$(BIN)/readmission demo-blocked

.PHONY: reset
reset: ## delete the home with all its state (asks first; YES=1 does not ask)
	@home="$(HOME_DIR)"; \
	[ -e "$$home" ] || { echo "There is no $$home; nothing to delete."; exit 0; }; \
	if [ ! -d "$$home/lake" ] || [ ! -d "$$home/dagster" ] || [ -e "$$home/Makefile" ]; then \
		echo "$$home does not look like a home of this platform; nothing was deleted." >&2; exit 1; fi; \
	if [ "$(YES)" != 1 ]; then \
		printf 'Delete %s with its data, models, ledger and keys? [y/N] ' "$$home"; read -r answer || true; \
		case "$$answer" in y|Y|yes) ;; *) echo "Nothing was deleted."; exit 1;; esac; fi; \
	rm -rf -- "$$home" && echo "Deleted $$home."

##@ Develop

.PHONY: test
test: setup ## every test, also the slow end-to-end and fault tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: test-quick
test-quick: setup ## the tests without the slow ones
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

.PHONY: check
check: setup check-lock ## lint, format, types, layers, lock file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: check-lock
check-lock: ## every requirement pinned with hashes, no addresses or paths
	@! grep -nE '[a-z]+://|^(-|\.|/)|file:| @ ' requirements.lock || { echo "requirements.lock names an address or a path" >&2; exit 1; }
	@awk '/^[A-Za-z0-9]/ { if (name != "" && !hashes) bad = bad " " name; name = $$1; hashes = 0; if ($$1 !~ /==/) bad = bad " " $$1 } \
		/--hash=sha256:/ { hashes++ } \
		END { if (name == "" || !hashes) bad = bad " " name; if (bad != "") { print "requirements.lock: not pinned with hashes:" bad; exit 1 } }' requirements.lock

.PHONY: fix
fix: setup ## let ruff repair and format what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: audit
audit: setup ## known vulnerabilities of what the lock names (asks the vulnerability service)
	$(BIN)/pip-audit --disable-pip --require-hashes -r requirements.lock

.PHONY: bench
bench: setup ## speed, as ratios against a bare script
	$(BIN)/python -m pytest readmission_platform_tests/benchmarks $(PYTEST_ARGS)

.PHONY: gate-power
gate-power: setup ## do the gates pass honest models and fail broken ones? (long)
	$(BIN)/python -m readmission_platform_tests.benchmarks.gate_power $(WITH_ARCHIVE)

.PHONY: lock
lock: setup ## remake requirements.lock from pyproject.toml; UPGRADE=1 takes newer releases
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --quiet \
		--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --output-file requirements.lock

.PHONY: clean
clean: ## delete .venv and every cache, not the home
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------------------ installation

# Prints the first Python that will do; a candidate is run, because a name on the PATH may be an empty shell.
define FIND_PYTHON
for candidate in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3 "$$HOME"/.pyenv/versions/3.1[123].*/bin/python); do \
	"$$candidate" -c 'import ensurepip$(SUPPORTED)' 2>/dev/null \
		&& { command -v "$$candidate"; exit 0; }; \
done; \
echo "Python 3.11, 3.12 or 3.13 with its venv module is needed and $(if $(PYTHON),PYTHON=$(PYTHON) is not one,none was found): install one (Debian: apt-get install python3-venv) or give PYTHON=/path/to/python3." >&2; exit 1
endef

.PHONY: find-python
find-python:
	@$(FIND_PYTHON)

# --no-deps because the lock is complete, and because older releases of pip refuse extras where hashes are required.
# A package that was half written when the installation was interrupted looks installed to pip: start over then.
$(STAMP): requirements.lock pyproject.toml $(if $(MOVED),force)
	@fresh=; if [ -e $(UNFINISHED) ]; then echo "The last installation was interrupted: starting over."; fresh=--clear; fi; \
	[ -z "$(MOVED)" ] || fresh=--clear; \
	if [ -n "$$fresh" ] || ! $(BIN)/python -c 'import pip$(SUPPORTED)' 2>/dev/null; then \
		python=$$($(FIND_PYTHON)) || exit 1; \
		echo "Creating .venv with $$("$$python" --version)."; \
		"$$python" -m venv --clear .venv || exit 1; fi
	@touch $(UNFINISHED)
	@echo "Installing $$(grep -c '==' requirements.lock) locked packages (about a minute and a half, 1.7 GB)."
	@rm -f .venv/.locked; \
	{ $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes --progress-bar off -r requirements.lock \
		&& touch .venv/.locked; } | awk -v total="$$(grep -c '==' requirements.lock)" ' \
		/^(Collecting|Requirement already|Ignoring) / { n++; if (n % 20 == 0 || n == total) { printf "  %d of %d packages fetched\n", n, total; fflush() } } \
		/^Installing collected/ { print "  unpacking (the longer half)"; fflush() }'; \
	[ -e .venv/.locked ] || { echo "The installation failed; the reason is above. Running make again tries again." >&2; exit 1; }
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@pwd -P > $(STAMP) && rm -f $(UNFINISHED) .venv/.locked
	@echo "Installed."

.PHONY: force
force:
