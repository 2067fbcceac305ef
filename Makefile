# Every target sets itself up: Python packages into .venv, the node for the tests into node_modules.

PYTHON := python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NODE_STAMP := node_modules/.installed
CHROMIUM := /usr/bin/chromium
SOURCES := ballast bots scripts tests

JOBS ?= 2
TESTS ?= tests
PRICES ?=
TRADERS ?=
SEED ?=
AGAIN ?=
ONLY ?=
PORT ?=

.PHONY: venv lint format types compile test gas bench latency load faults fuzz seeded mutants adversary demo testnet web web-test web-pictures app clean

venv: $(STAMP)

# The project itself is on the path by a .pth file, so nothing has to be built or installed again.
$(STAMP): requirements.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	echo "$(CURDIR)" > $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/ballast.pth
	touch $@

$(NODE_STAMP): package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

format: $(STAMP)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

types: $(STAMP)
	$(BIN)/mypy

compile: $(STAMP)
	$(BIN)/python -m ballast.build --jobs $(JOBS)

# The trading page, into web/dist (docs/WEB.md).
web: $(STAMP) $(NODE_STAMP) compile
	$(BIN)/python -c "from ballast.build import artifact; artifact('TestToken')"
	npm run --silent check
	npm run --silent build

# The page's tests, in Debian's chromium (installed where it is missing, which takes root): a few minutes.
web-test: $(STAMP) $(NODE_STAMP) compile $(CHROMIUM)
	$(BIN)/python -m pytest -p no:xdist tests/web

# The pictures of docs/TRADING.md, from those that web-test has left in build/web.
web-pictures: $(STAMP)
	$(BIN)/python -m tests.web.pictures

$(CHROMIUM):
	apt-get update -qq && apt-get install -y -qq chromium

# An exchange on this machine, until Ctrl-C or SIGTERM (docs/TRADING.md). PORT: of the page.
app: web
	@exec $(BIN)/python -m ballast.app $(if $(PORT),--port $(PORT))

# The contracts are compiled once, before the workers start. What needs a browser is web-test's.
test: $(STAMP) $(NODE_STAMP) compile
	$(BIN)/python -m pytest -n $(JOBS) --ignore=tests/web $(TESTS)

gas: $(STAMP) compile
	$(BIN)/python -m pytest -p no:xdist --update-gas $(TESTS)

# Gas beside other protocols', its floors, and how deleveraging scales (docs/BENCHMARKS.md); a minute. ONLY=rows, flat or
# buckets measures that part alone.
bench: $(STAMP) compile
	$(BIN)/python -m ballast.bench $(if $(ONLY),--only $(ONLY))

# From a price to a keeper's transactions (docs/KEEPERS.md, section Latency): 1,000 and 10,000 accounts on a node in real
# time; twenty minutes.
latency: $(STAMP) $(NODE_STAMP) compile
	$(BIN)/python -m ballast.bench.latency

# Keepers through the crash while everything around them fails, at full size (docs/KEEPERS.md, section Faults): 1,000
# accounts, 20 kills. `make test` runs the same with 130 and 5.
faults: $(STAMP) $(NODE_STAMP) compile
	$(BIN)/python -m pytest -p no:xdist -s tests/faults --full

# A relay under 500 orders a second and 200 WebSocket clients, killed in the middle (docs/RELAY.md); figures in
# build/load.json. Two minutes; not part of the gate.
load: $(STAMP) $(NODE_STAMP) compile
	$(BIN)/python -m ballast.relay.load

# The invariants under whatever the machines come up with; figures in build/fuzz.json. HYPOTHESIS_PROFILE=nightly goes
# on for HOURS (1) from SEED on.
fuzz: $(STAMP) compile
	HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-ci} $(BIN)/python -m pytest -p no:xdist tests/stateful \
		--fuzz-report build/fuzz.json $(if $(SEED),--fuzz-seed $(SEED)) $(if $(HOURS),--fuzz-hours $(HOURS))

# Deliberate faults, which the tests must find: those of tests/seeded/, and a sample of mechanical ones (docs/MUTANTS.md).
seeded: $(STAMP) compile
	$(BIN)/python -m ballast.mutation.seeded --jobs $(JOBS)

# A run that was cut off goes on at the next start. AGAIN=1 tries once more what has survived.
mutants: $(STAMP) compile
	$(BIN)/python -m ballast.mutation.mutants --record --jobs $(JOBS) $(if $(SEED),--seed $(SEED)) $(if $(AGAIN),--again)

# What one owner with many accounts could gain, at given prices and over a crash (docs/ADVERSARY.md); about an hour.
adversary: $(STAMP) compile
	$(BIN)/python -m ballast.adversary $(if $(PRICES),--prices "$(PRICES)") $(if $(SEED),--seed $(SEED))

demo: $(STAMP) compile
	$(BIN)/ape run demo $(if $(PRICES),--prices "$(PRICES)") $(if $(TRADERS),--traders $(TRADERS)) $(if $(SEED),--seed $(SEED))

# From an empty stand-in of Sepolia to the end of a crash: deployment with a keystore account, publishers and keepers as
# processes, one keeper killed and started again; figures in build/testnet.json. Six minutes.
testnet: $(STAMP) $(NODE_STAMP) compile
	$(BIN)/python -m ballast.testnet $(if $(TRADERS),--traders $(TRADERS)) $(if $(SEED),--seed $(SEED))

clean:
	rm -rf $(VENV) node_modules build .build .cache .hypothesis web/dist web/src/generated .silverback-sessions .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
