.DEFAULT_GOAL := help
.PHONY: help run test test-cluster check chaos bench bench-peers budget audit fuzz clients lint-openapi

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where rustup installs cargo. A shell that was open before has not read the updated profile.
export PATH := $(PATH):$(HOME)/.cargo/bin
# Most tests wait most of the time: with two for each processor they take half as long.
export RUST_TEST_THREADS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and run the service; installs a Redis server if none is found
	@.ci/install rust cc $(if $(DUOLOGUE_REDIS_URL),,redis)
	cargo run --release --locked

test: ## Run the tests
	@.ci/install rust cc redis curl
	cargo test --locked

test-cluster: ## Run the tests on Redis Clusters, except those about one Redis; TESTS="a b" selects some
	@.ci/install rust cc redis curl
	DUOLOGUE_TEST_STORE=cluster cargo test --locked --test api -- $(TESTS)

check: ## Check format and lints and run the tests, as CI does
	@.ci/install rust cc
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	$(MAKE) test

chaos: ## Kill, stop, replace and cut off parts of a cluster and of a Sentinel set-up under load, archives and webhooks
	@.ci/install rust cc redis
	cargo test --locked --test api -- chaos:: store:: subscriptions:: webhooks:: --ignored --nocapture --test-threads 1

bench: ## Measure throughput, latency, CPU per request, and the worst case of each operation
	@.ci/install rust cc redis redis-benchmark wrk
	cargo bench --locked --bench throughput
	cargo test --locked --test api -- operations::bounds::every_operation --nocapture

bench-peers: ## Measure messages beside those of FastAPI, fastify and Centrifugo; PEERS_SECONDS=1 shortens the rounds
	@.ci/install rust cc redis wrk node python
	benches/peers/install $(TARGET)/peers
	PEERS_DIR=$(abspath $(TARGET)/peers) cargo bench --locked --bench throughput -- peers

budget: ## Count the instructions that scripts take Redis (valgrind) and compare them with their budgets
	@.ci/install rust cc redis valgrind
	cargo test --locked --test api -- store::budgets --include-ignored --nocapture

audit: ## Check licences, sources and known vulnerabilities of the dependencies (cargo-deny)
	@.ci/install rust cc
	@command -v cargo-deny >/dev/null || nice cargo install cargo-deny --locked
	cargo deny --locked check licenses bans sources
	@if cargo deny --log-level off fetch db 2>/dev/null; then \
		cargo deny --locked --offline check advisories; \
	else \
		echo "duologue: known vulnerabilities were not checked: the advisory database is unreachable" >&2; \
	fi

fuzz: ## Test the service against openapi.yaml with generated requests (schemathesis)
	.ci/fuzz

clients: ## Generate, compile and run a client in each language, or in those of LANGUAGES
	clients/run $(LANGUAGES)

lint-openapi: ## Lint openapi.yaml (Redocly, Spectral) and asyncapi.yaml (AsyncAPI parser)
	@.ci/install node
	@test -d $(TARGET)/lint/node_modules/@asyncapi || npm install --silent --no-save --no-audit --no-fund \
		--prefix $(TARGET)/lint @redocly/cli@2 @stoplight/spectral-cli@6 @asyncapi/parser@3
	$(TARGET)/lint/node_modules/.bin/redocly lint --config .ci/redocly.yaml openapi.yaml
	$(TARGET)/lint/node_modules/.bin/spectral lint --ruleset .ci/spectral.yaml \
		--fail-severity warn openapi.yaml
	NODE_PATH=$(TARGET)/lint/node_modules node .ci/lint-asyncapi.cjs
