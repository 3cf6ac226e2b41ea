# Short targets over the `readmission` command and the usual tools; `make help` lists them.
# Everything is installed into .venv, nothing outside the checkout is changed.

.DEFAULT_GOAL := help
.NOTPARALLEL:

# Default: the first source of the model.
SOURCE ?=
MODEL ?=
HOME_DIR = $(or $(READMISSION_HOME),var)

BIN := .venv/bin
STAMP := .venv/.installed
UNFINISHED := .venv/.installing
LOCK_DONE := .venv/.locked
LOG := .venv/install.log
PIP := $(BIN)/python -u -m pip install --disable-pip-version-check --no-input --no-deps
PACKAGES = $(shell grep -c == requirements.lock)
# A file of tests stays in one process; conftest.py orders the files, the long ones first. There is one process more than
# cores, because many tests wait for another process or a lock; each process uses one core.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest
ON_EVERY_CORE = -n $$(( $$($(BIN)/python -c "import os; print(os.cpu_count())") + 1 )) --dist loadfile --no-loadscope-reorder
# Databases of homes wait for the disk at every commit: where memory has room to spare, the homes of tests live there.
# It is gone when the tests end; PYTEST_ARGS=--basetemp=FOLDER keeps what they leave.
IN_MEMORY = base=; if [ "$$(awk '/^MemAvailable/ {print ($$2 > 8388608)}' /proc/meminfo 2>/dev/null)" = 1 ] \
	&& [ "$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print ($$4 > 8388608)}')" = 1 ]; then \
	memory=$$(mktemp -d /dev/shm/readmission-tests.XXXXXX) && base=--basetemp=$$memory/base \
	&& trap 'rm -rf -- "$$memory"' EXIT && trap 'exit 130' INT TERM; fi
SUPPORTED := , sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# Scripts in .venv name their folder: a checkout that was moved or copied is installed again instead of running the old one.
MOVED := $(shell [ ! -e $(STAMP) ] || [ "$$(cat $(STAMP))" = "$$(pwd -P)" ] || echo moved)

# A relative path is looked for in this folder and then where make was called (make -C).
ARCHIVE_PATH = $(shell if [ ! -e "$(ARCHIVE)" ] && [ -e "$(PWD)/$(ARCHIVE)" ]; then echo "$(PWD)/$(ARCHIVE)"; else echo "$(ARCHIVE)"; fi)
OF_MODEL = $(if $(MODEL),--model $(MODEL)) $(if $(SOURCE),--source $(SOURCE))
WITH_ARCHIVE = $(if $(ARCHIVE),--archive "$(ARCHIVE_PATH)")

##@ Use

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@printf '\nVariables: MODEL=name SOURCE=name (synthetic, uci, ...) ARCHIVE=path ENCOUNTERS=n SEED=n DAYS=n PYTHON=python3.12 READMISSION_HOME=folder READMISSION_MODELS=names\n'

.PHONY: setup
setup: $(STAMP) ## install everything into .venv and prepare the home (two to four minutes, 1.7 GB, once)
	@home=$$(cd "$(HOME_DIR)" 2>/dev/null && pwd); \
	cmp -s dagster.yaml "$$home/dagster/dagster.yaml" && grep -qsF ":-$$home}" .env || $(BIN)/readmission setup

# Where a build for CPUs only is to be had (2.13.0+cpu), pip takes it; elsewhere it takes the one for GPUs, 3 GB larger.
TORCH ?= torch==2.13.0

.PHONY: pytorch
pytorch: setup ## PyTorch for models that are networks, and Kubernetes' schemas for its tests (1 GB); TORCH=requirement
	@$(BIN)/python -c 'import kubernetes_validate, torch' 2>/dev/null || $(BIN)/python -m pip install --quiet \
		--disable-pip-version-check --no-input "$(TORCH)" "kubernetes-validate==1.37.0"

.PHONY: run
run: setup ## the whole life cycle of a model: data, training, gates, promotion, predictions
	$(BIN)/readmission run $(OF_MODEL) $(WITH_ARCHIVE) $(if $(ENCOUNTERS),--encounters $(ENCOUNTERS)) $(if $(SEED),--seed $(SEED))

.PHONY: dev
dev: setup ## the Dagster UI on a free port; prints the address
	$(BIN)/readmission dev

.PHONY: mlflow
mlflow: setup ## the MLflow UI: runs, metrics, registered versions
	$(BIN)/readmission mlflow-ui

.PHONY: demo-blocked
demo-blocked: setup ## see a failing gate stop a model, and undo it
	$(BIN)/readmission demo-blocked $(OF_MODEL) $(WITH_ARCHIVE)

.PHONY: demo-year
demo-year: setup ## a year simulated in one go, in a home of its own (var-year): outcomes, drift, a second version
	READMISSION_HOME="$(or $(READMISSION_HOME),$(CURDIR)/var-year)" $(BIN)/readmission demo-year $(OF_MODEL) $(WITH_ARCHIVE) $(if $(DAYS),--days $(DAYS))

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

##@ A model of your own

.PHONY: new-model
new-model: setup ## a governed model from a table: NAME= FROM=table.csv TARGET= ENTITY= TIME= OWNER= COST_CENTER=
	$(BIN)/readmission new-model $(NAME) $(if $(FROM),--from "$(FROM)") $(if $(TARGET),--target $(TARGET)) \
		$(if $(ENTITY),--entity $(ENTITY)) $(if $(TIME),--time $(TIME)) $(if $(OWNER),--owner $(OWNER)) \
		$(if $(COST_CENTER),--cost-center $(COST_CENTER)) $(if $(TEMPLATE),--template $(TEMPLATE))

.PHONY: train
train: setup ## train and judge one more version: MODEL=
	$(BIN)/readmission train $(OF_MODEL) $(WITH_ARCHIVE)

.PHONY: deploy
deploy: setup ## take the version in staging into production, if every condition holds: MODEL=
	$(BIN)/readmission promote $(if $(MODEL),--model $(MODEL)) --from-stage staging --to-stage production $(if $(REPLACE),--replace)

# Each model that was made so is a target: `make NAME` is its whole life.
-include $(wildcard configs/models/*/model.mk)

##@ Develop

.PHONY: test
test: setup ## every test, also the slow end-to-end and fault tests
	@$(IN_MEMORY); $(PYTEST) $(ON_EVERY_CORE) $$base $(PYTEST_ARGS)

.PHONY: test-quick
test-quick: setup ## the tests without the slow ones
	@$(IN_MEMORY); $(PYTEST) $(ON_EVERY_CORE) $$base -m "not slow" $(PYTEST_ARGS)

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
audit: setup ## known vulnerabilities of the locked packages (asks the vulnerability service)
	$(BIN)/pip-audit --disable-pip --require-hashes -r requirements.lock

.PHONY: bench
bench: setup ## speed, as a ratio to a bare script
	$(BIN)/python -m pytest readmission_platform_tests/benchmarks $(PYTEST_ARGS)
	$(if $(ARCHIVE),$(BIN)/python -m readmission_platform_tests.benchmarks.whole_life $(WITH_ARCHIVE),\
		@echo "The whole life cycle, compared with a bare script, is measured on real data: make bench ARCHIVE=path")

.PHONY: gate-power
gate-power: setup ## do the gates pass honest models and fail broken ones? (long)
	$(BIN)/python -m readmission_platform_tests.benchmarks.gate_power $(WITH_ARCHIVE)

.PHONY: benchmark
benchmark: setup ## the readmission model under the rules of TableShift and TabArena, beside published results; JSON=1
	@$(BIN)/python -m readmission_platform_tests.benchmarks.public_protocols $(WITH_ARCHIVE) $(if $(JSON),--json)

.PHONY: monitoring-power
monitoring-power: setup ## does monitoring raise the alarms it should, and no others?
	$(BIN)/python -m readmission_platform_tests.benchmarks.drift_power $(WITH_ARCHIVE)
	$(BIN)/python -m readmission_platform_tests.benchmarks.performance_power $(WITH_ARCHIVE)

.PHONY: rollout-power
rollout-power: setup ## do roll-outs take back what is worse, and nothing else? (simulated); JSON=1
	@OMP_NUM_THREADS=1 $(BIN)/python -m readmission_platform_tests.benchmarks.rollout_power $(if $(JSON),--json)

.PHONY: bench-day
bench-day: setup ## time and memory of a day, its monitoring run, and a year filled at once
	$(BIN)/python -m readmission_platform_tests.benchmarks.daily_operation $(WITH_ARCHIVE)

.PHONY: bench-serving
bench-serving: setup ## the service beside MLflow's server, BentoML's and a plain one (half an hour; SECONDS=60); JSON=1
	@$(BIN)/python -m readmission_platform_tests.benchmarks.serving_speed --bento $(if $(SECONDS),--seconds $(SECONDS)) $(if $(JSON),--json)

.PHONY: model-development
model-development: setup ## what was tried for the readmission model, each variant against the shipped recipe (half an hour)
	$(BIN)/python -m readmission_platform_tests.benchmarks.model_development $(WITH_ARCHIVE)

.PHONY: replay-report
replay-report: setup ## the shipped recipe on the replay stream, which played no part in any choice
	$(BIN)/python -m readmission_platform_tests.benchmarks.replay_stream $(WITH_ARCHIVE)

.PHONY: recalibration
recalibration: setup ## recalibration compared with retraining and doing nothing, five years of streams (ten minutes); JSON=1
	@$(BIN)/python -m readmission_platform_tests.benchmarks.recalibration $(WITH_ARCHIVE) $(if $(JSON),--json)

.PHONY: known-past
known-past: setup ## the effect of knowing of an early return at the next admission; JSON=1
	@$(BIN)/python -m readmission_platform_tests.benchmarks.known_past $(WITH_ARCHIVE) $(if $(JSON),--json)

.PHONY: row-parity
row-parity: setup ## single answers against the batch: 100,000 random rows of each model, bit for bit, and how soon; JSON=1
	@OMP_NUM_THREADS=1 $(BIN)/python -m readmission_platform_tests.benchmarks.row_parity $(WITH_ARCHIVE) $(if $(JSON),--json)

.PHONY: icd10-quality
icd10-quality: setup ## the effect of translating ICD-10-CM on the readmission model; JSON=1
	@$(BIN)/python -m readmission_platform_tests.benchmarks.icd10_quality $(WITH_ARCHIVE) $(if $(JSON),--json)

.PHONY: linkage
linkage: setup ## can evidence rows be traced to their source without the key?
	@$(BIN)/python -m readmission_platform_tests.benchmarks.linkage $(WITH_ARCHIVE)

.PHONY: invariants
invariants: setup ## kills, races, faults, falsified ledgers, hostile dossiers: does everything hold? (ten minutes); JSON=1
	@OMP_NUM_THREADS=1 $(BIN)/python -m readmission_platform_tests.benchmarks.invariants $(if $(JSON),--json)

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

# Prints the first Python that works; each candidate is run, because a name on the PATH may lead to nothing.
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
# After an interruption start over: to pip a half-written package looks installed.
$(STAMP): requirements.lock pyproject.toml $(if $(MOVED),force)
	@fresh=; if [ -e $(UNFINISHED) ]; then echo "The last installation was interrupted: starting over."; fresh=--clear; fi; \
	[ -z "$(MOVED)" ] || fresh=--clear; \
	if [ -n "$$fresh" ] || ! $(BIN)/python -c 'import pip$(SUPPORTED)' 2>/dev/null; then \
		python=$$($(FIND_PYTHON)) || exit 1; \
		echo "Creating .venv with $$("$$python" --version)."; \
		"$$python" -m venv --clear .venv || exit 1; fi
	@touch $(UNFINISHED) && rm -f $(LOCK_DONE)
	@echo "Installing $(PACKAGES) locked packages (two to four minutes, 1.7 GB; pip's output is in $(LOG))."
	@{ $(PIP) --require-hashes --progress-bar off -r requirements.lock && touch $(LOCK_DONE); } 2>&1 | tee $(LOG) | { \
		n=0; while read -r line; do case "$$line" in \
			Collecting*|Processing*|Ignoring*|"Requirement already"*) n=$$((n + 1)); [ $$((n % 25)) -ne 0 ] || echo "  fetched $$n of $(PACKAGES)";; \
			"Installing collected"*) echo "  unpacking them, a minute or two";; \
		esac; done; }
	@[ -e $(LOCK_DONE) ] && $(PIP) --no-build-isolation --editable . >> $(LOG) 2>&1 || { \
		grep -v '^WARNING' $(LOG) | tail -n 12 >&2; echo "The installation failed, see above; make can be run again." >&2; exit 1; }
	@pwd -P > $(STAMP) && rm -f $(UNFINISHED) $(LOCK_DONE)
	@echo "Installed."

.PHONY: force
force:
