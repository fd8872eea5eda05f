# One verb for each task. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help run test test-fast check fix format type-check bench lock vendor clean

VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The tests start hundreds of processes; without bytecode each would compile the application again.
unexport PYTHONDONTWRITEBYTECODE

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/runtime ## Start the web server and the consumer at http://127.0.0.1:8000 (PORT=, HOST=)
	@exec python -m webapp.serve

# A file stays in one process, with its fixtures: an application, servers, a browser. What takes
# longest starts first. Servers and browsers wait more than they work, so three files run at a time.
PARALLEL := --dist loadfile --no-loadscope-reorder

test: $(VENV)/dev browser ## Run all tests
	@pytest --numprocesses 3 $(PARALLEL) --ignore tests/other_browsers

.PHONY: test-acceptance
test-acceptance: $(VENV)/dev ## Test what an instance promises, by HTTP alone: at BASE_URL=, or one that is started (TOKEN= in the environment)
	@pytest tests/acceptance $(BASE_URL:%=--base-url %)

.PHONY: test-browsers
test-browsers: $(VENV)/dev ## Run every flow in Firefox and WebKit (Debian: firefox-esr, webkit2gtk-driver, xvfb)
	@pytest tests/other_browsers

# Where Debian lacks a program (systemd-analyze, promtool, caddy), its tests say so.
.PHONY: check-deploy
check-deploy: $(VENV)/deploy ## Check deploy/, the Dockerfile, compose files and workflows with their own tools, offline
	@pytest tests/deploy

.PHONY: kind-deploy
kind-deploy: ## Install the Helm chart in a cluster on this machine (needs docker, kind, kubectl, helm)
	@deploy/helm/kind-deploy

.PHONY: build-docker
tag ?= thumbnails:latest
# Without layers: the cache of podman and buildah does not see that an ARG in a LABEL has another value. And in
# Docker's format: that of OCI has no health check.
build-docker: ## Build the image tag=, thumbnails:latest, with docker, podman or buildah (BASE=, SOURCE=, BUILD_ARGS=)
	@for engine in docker podman buildah none; do command -v $$engine >/dev/null && break; done; \
	case $$engine in \
		none) echo "Install docker, podman or buildah." >&2; exit 1 ;; \
		docker) format= ;; \
		*) format="--format docker --layers=false" ;; \
	esac; \
	set -x; $$engine build $$format --tag $(tag) $(BASE:%=--build-arg BASE=%) $(SOURCE:%=--build-arg SOURCE=%) \
		--build-arg VERSION=$$(sed -n 's/^VERSION = "\([^"]*\)".*/\1/p' webapp/config.py) \
		--build-arg REVISION=$$(git describe --always --abbrev=40 --exclude '*' --dirty) $(BUILD_ARGS) .

# Says what to install, and keeps what can be kept in ~/.cache/thumbnails-image.
.PHONY: test-image
test-image: $(VENV)/dev ## Build the image without an engine, and run it: 3 min, later 15 s (root; buildah, mmdebstrap)
	@pytest --capture=no tests/image

UNITS := pytest --numprocesses auto $(PARALLEL) --ignore tests/live --ignore tests/acceptance --ignore tests/browser --ignore tests/other_browsers

test-fast: $(VENV)/dev ## Run the tests that need no servers, browser, processes or large tables
	@$(UNITS) -m "not slow"

.PHONY: coverage
# Without the tests that measure time, which this would change.
coverage: $(VENV)/dev ## Measure how much of webapp/ the tests without servers run, in htmlcov/
	@$(UNITS) --ignore tests/web/test_costs.py --cov --cov-report=html --cov-report=term

.PHONY: fuzz
fuzz: $(VENV)/dev ## Run the tests of properties with 1000 random examples each (SEED= repeats a run)
	@seed=$(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom)); echo "SEED=$$seed"; \
		pytest -m hypothesis --hypothesis-profile fuzz --hypothesis-seed $$seed --numprocesses auto $(PARALLEL) \
			|| { echo "To repeat this run: make fuzz SEED=$$seed"; exit 1; }

.PHONY: fuzz-api
fuzz-api: $(VENV)/dev ## Send the API what its document allows and forbids (SEED=, EXAMPLES=; BASE_URL= for a server that runs)
	@python -m tests.support.fuzz_api $(SEED:%=--seed %) $(EXAMPLES:%=--examples %) $(BASE_URL:%=--base-url %)

check: $(VENV)/dev ## Check format, lint, types, import directions, templates and words
	@ruff format --check
	@ruff check
	@mypy
	@lint-imports
	@djlint templates --check --quiet
	@djlint templates --lint --quiet
	@codespell
	@! git grep -nE '$(AVOIDED)' -- '*.py' '*.md' templates static/css static/js

# Also in names and phrases, of which codespell knows nothing; see .codespell.txt.
AVOIDED := (^|[^A-Za-z])([Ww]hoever|[Aa]new|[Ss]omebody|doorbells?|heirs?|[Ii]n[ _]vain|by[ _]and[ _]by|in[ _]peace|[Ww]ho[ _]comes|[Ww]hat[ _]is[ _]refused)([^A-Za-z]|$$)

fix: $(VENV)/dev ## Fix what ruff and djlint can fix
	@ruff check --fix
	@$(MAKE) --no-print-directory format

format: $(VENV)/dev ## Format code and templates
	@ruff format
	@djlint templates --reformat --quiet

.PHONY: test-all
# "test" has the acceptance tests on an open instance; here they run on one that needs a token. Not the cluster of
# kind-deploy, which few machines can have: CI does that.
ALL := check audit test coverage test-browsers check-deploy test-image "fuzz SEED=1" "fuzz-api SEED=1" \
	"chaos UPLOADS=100 SECONDS=60" "test-acceptance TOKEN=only-for-this-run"
test-all: ## Run everything that tests this repository, and list what passed and what failed: about half an hour
	@failed=0; for verb in $(ALL); do \
		printf '\n== make %s\n' "$$verb"; began=$$(date +%s); \
		if $(MAKE) --no-print-directory $$verb; then outcome=passed; else outcome=FAILED; failed=1; fi; \
		report="$$report$$(printf '%s  %4d s  make %s' $$outcome $$(($$(date +%s) - began)) "$$verb")\n"; \
	done; printf "\n$$report"; exit $$failed

type-check: $(VENV)/dev ## Check types only
	@mypy

bench: $(VENV)/dev ## Measure upload to thumbnail beside thumbor, here or at BASE_URL= (ROUNDS=, ONLY=)
	@python -m bench.service $(ROUNDS:%=--rounds %) $(BASE_URL:%=--base-url %) --only "$(ONLY)"

.PHONY: screenshots
screenshots: $(VENV)/dev browser ## Write every page in every state to artifacts/ (SCENES=; SCENES=readme for the README's pictures)
	@python -m tests.browser.screenshots $(SCENES)

.PHONY: chaos
UPLOADS ?= 500
SECONDS ?= 300
chaos: $(VENV)/dev ## Kill processes for at least SECONDS= and UPLOADS=, and count what is lost (SEED=)
	@python -m tests.support.chaos $(UPLOADS) $(SECONDS) $(SEED)

.PHONY: bench-engine bench-peers
bench-engine: $(VENV)/dev ## Measure the engine beside its peers (ROUNDS=)
	@python -m bench.engine $(ROUNDS)

PEERS := bench/peers
bench-peers: $(BIN)/python ## Install the peers of bench and bench-engine (sharp needs npm)
	@python -m venv $(PEERS)/.venv
	@$(PEERS)/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $(PEERS)/requirements.txt
	@if command -v npm >/dev/null; then npm install --prefix $(PEERS) --no-package-lock --no-audit --no-fund --silent; \
		else echo "npm is not installed: sharp is left out" >&2; fi

.PHONY: bench-scale
IMAGES ?= 1000000
EXPIRED ?= 10000
bench-scale: $(VENV)/dev ## Measure beside a million images (IMAGES=), and while 10,000 jobs expire (EXPIRED=)
	@python -m bench.scale $(IMAGES) $(EXPIRED)

.PHONY: bench-api
bench-api: $(VENV)/dev ## Measure the API beside thumbor, a disk and a million images (ROUNDS=, IMAGES=, ONLY=)
	@python -m bench.api $(ROUNDS:%=--rounds %) --images $(IMAGES) --only "$(ONLY)"

.PHONY: bench-sizing
bench-sizing: $(VENV)/dev ## Measure memory, images a second and disk, as the table of docs/operations.md (IMAGES=)
	@python -m bench.sizing $(if $(filter command environment,$(firstword $(origin IMAGES))),--images $(IMAGES))

.PHONY: compare-images
compare-images: $(VENV)/dev ## Compare our pictures of the images in DIR= with those of other programs, in artifacts/
	@python -m bench.compare_images "$(DIR)"

lock: ## Update the hashed locks to pyproject.toml, or everything with LOCK_ARGS=--upgrade (needs uv)
	@uv pip compile pyproject.toml -o requirements.txt $(LOCK) $(LOCK_ARGS)
	@uv pip compile pyproject.toml --group dev -o requirements-dev.txt $(LOCK) $(LOCK_ARGS)
	@uv pip compile --group pyproject.toml:build -o requirements-build.txt $(LOCK) $(LOCK_ARGS)
	@uv pip compile --group pyproject.toml:deploy --constraint requirements-dev.txt -o requirements-deploy.txt $(LOCK) $(LOCK_ARGS)
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

.PHONY: schema
schema: $(VENV)/dev ## Write schema.sql: what the migrations amount to
	@python -m tests.support.schema

.PHONY: audit
audit: $(BIN)/python ## Check the locked dependencies for known vulnerabilities
	@python -m tests.support.audit

.PHONY: third-party
third-party: $(VENV)/dev ## Write the tables of THIRD_PARTY.md from what is installed
	@python -m tests.support.third_party

.PHONY: release-check
release-check: $(VENV)/dev ## Say what is to be done before this commit can be released
	@python -m tests.support.release check

HTMX := 4.0.1
SWAGGER := 5.36.0
# npm pack, never npm install: that would run the telemetry that swagger-ui-dist depends on.
vendor: ## Download htmx, hx-upsert and Swagger UI (needs npm); put their checksums into static/vendor/vendor.json
	@cd static/vendor && npm pack --silent htmx.org@$(HTMX) \
		&& tar -xzf htmx.org-$(HTMX).tgz --strip-components=2 package/dist/htmx.min.js \
		&& tar -xzf htmx.org-$(HTMX).tgz --strip-components=3 package/dist/ext/hx-upsert.min.js \
		&& mv htmx.min.js htmx-$(HTMX).min.js && mv hx-upsert.min.js hx-upsert-$(HTMX).min.js \
		&& rm htmx.org-$(HTMX).tgz && sha256sum htmx-$(HTMX).min.js hx-upsert-$(HTMX).min.js
	@cd static/vendor && npm pack --silent swagger-ui-dist@$(SWAGGER) \
		&& tar -xzf swagger-ui-dist-$(SWAGGER).tgz --strip-components=1 package/swagger-ui-bundle.js \
			package/swagger-ui.css package/LICENSE package/NOTICE package/swagger-ui-bundle.js.LICENSE.txt \
		&& mv swagger-ui-bundle.js swagger-ui-bundle-$(SWAGGER).js && mv swagger-ui.css swagger-ui-$(SWAGGER).css \
		&& mv LICENSE swagger-ui-LICENSE.txt && mv NOTICE swagger-ui-NOTICE.txt \
		&& mv swagger-ui-bundle.js.LICENSE.txt swagger-ui-bundle-LICENSES.txt \
		&& rm swagger-ui-dist-$(SWAGGER).tgz && sha256sum swagger-ui-bundle-$(SWAGGER).js swagger-ui-$(SWAGGER).css

clean: ## Remove generated files, but no data
	@rm -rf $(VENV) .venv-audit htmlcov artifacts .coverage* .*_cache
	@find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -r {} +

# A stamp for each environment, newer than the lock it was installed from. uv is used if it is there.
$(VENV)/runtime: requirements.txt | $(BIN)/python
	@$(call install,$<)
	@touch $@

$(VENV)/dev: requirements-dev.txt | $(BIN)/python
	@$(call install,$<)
	@touch $@ $(VENV)/runtime

# Beside what tests need, in the same versions: the lock is constrained by that of dev.
$(VENV)/deploy: requirements-deploy.txt $(VENV)/dev
	@$(call install,$<)
	@touch $@

# Of pyvips there is no wheel. Its build compiles a module for a libvips of the system, if it finds one by
# pkg-config, in the place of the module that pyvips-binary has for its own.
define install
echo "Installing $(1) ..."; export PKG_CONFIG=false; \
if command -v uv >/dev/null; then uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r $(1); \
else python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(1); fi
endef

# The first Python that is new enough and can create environments: Debian's may lack ensurepip.
$(BIN)/python:
	@for python in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do \
		$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
			&& exec $$python -m venv $(VENV); \
	done; \
	echo "No Python >= 3.11 with venv was found. On Debian: apt-get install python3-venv" >&2; exit 1

.PHONY: browser
browser: $(VENV)/dev
	@python -m tests.browser.chromium
