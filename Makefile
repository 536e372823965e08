# The commands of this project; `make` alone lists them. Versions of tools stand in .ci/versions.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test fmt lint deny unit noise bench bench-state bench-sql bench-kafka bench-door bench-respond bench-chains bench-peers docs dashboards grafana-sdk sql-drivers build-cost tools geth bcoin cerbos claim

include .ci/versions
HOME ?= /root
KEYWATCH_CACHE ?= $(HOME)/.cache/keywatch
# Outlives a clone, so that a second one starts warm.
CARGO_TARGET_DIR ?= $(KEYWATCH_CACHE)/target
KEYWATCH_TEST_OPA ?= $(KEYWATCH_CACHE)/tools/opa-$(OPA_VERSION)/opa
KEYWATCH_TEST_ANVIL ?= $(KEYWATCH_CACHE)/tools/anvil-$(ANVIL_VERSION)/anvil
KEYWATCH_TEST_BTCD ?= $(KEYWATCH_CACHE)/tools/btcd-$(BTCD_VERSION)/btcd
KEYWATCH_TEST_GETH ?= $(KEYWATCH_CACHE)/tools/geth-$(GETH_VERSION)/geth
KEYWATCH_TEST_BCOIN ?= $(KEYWATCH_CACHE)/tools/bcoin-$(BCOIN_VERSION)
KEYWATCH_TEST_CERBOS ?= $(KEYWATCH_CACHE)/tools/cerbos-$(CERBOS_VERSION)/cerbos
KEYWATCH_TEST_KAFKA ?= $(KEYWATCH_CACHE)/tools/kafka-$(KAFKA_VERSION)
# What drives Chromium over the page, and looks for barriers on it.
KEYWATCH_TEST_BROWSER ?= $(KEYWATCH_CACHE)/tools/browser
CARGO_DENY := $(KEYWATCH_CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
export CARGO_TARGET_DIR KEYWATCH_TEST_OPA KEYWATCH_TEST_ANVIL KEYWATCH_TEST_BTCD KEYWATCH_TEST_GETH KEYWATCH_TEST_BCOIN KEYWATCH_TEST_CERBOS KEYWATCH_TEST_KAFKA KEYWATCH_TEST_BROWSER

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: claim ## play the Bybit theft of 2025-02-21 through the running pipeline (ARGS="--serve": on the page too; ARGS="--incident 2024-05-dmm-bitcoin")
	cargo run --release --locked -- demo $(ARGS)

test: fmt lint deny unit ## everything that has to hold before a change is taken; installs what it needs

fmt: ## check the formatting
	cargo fmt --all --check

lint: claim ## clippy over every target, warnings are errors
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

deny: $(CARGO_DENY) ## licences, bans, sources and (where reachable) advisories of the dependencies
	.ci/deny $(CARGO_DENY)

unit: claim $(KEYWATCH_TEST_OPA) $(KEYWATCH_TEST_ANVIL) $(KEYWATCH_TEST_BTCD) $(KEYWATCH_TEST_KAFKA)/complete $(KEYWATCH_TEST_BROWSER)/complete ## all tests, against the real OPA, Kafka, Chromium and nodes of Ethereum and Bitcoin too
	cargo test --release --locked --workspace

SEEDS ?= 1 2 3
noise: claim ## alerts in honest months of a generator that knows no rule, by rule, severity, system and week (SEEDS="1 2 3")
	.ci/noise "$(CARGO_TARGET_DIR)" 30 $(SEEDS)

bench: claim ## what a second holds: replay, time from append to finding, durable appends
	cargo bench --locked --workspace --bench pipeline --bench embedded --bench backends --bench operator
	mkdir -p "$(CARGO_TARGET_DIR)/tmp"
	cargo run --release --locked -- simulate --events 400000 --out - >"$(CARGO_TARGET_DIR)/tmp/reading.jsonl"
	cargo bench --locked --workspace --bench reading -- "$(CARGO_TARGET_DIR)/tmp/reading.jsonl"
	cargo test --release --locked --workspace -- --ignored --nocapture --test-threads 1 bench_
	cargo run --release --locked -- replay replay-data/2025-02-bybit --check

bench-state: claim ## bytes a row, a flood of keys, a restart with ten million rows (ARGS="rows flood restart"; three minutes)
	cargo bench --locked --workspace --bench state -- $(ARGS)

bench-sql: claim ## how long questions in SQL take over a log that is made for it (ARGS="EVENTS DIRECTORY"; ten million, some minutes; a hundred million take 19 GB)
	cargo bench --locked --workspace --bench sql -- $(ARGS)

bench-kafka: claim $(KEYWATCH_TEST_KAFKA)/complete ## the log on Kafka beside a bare consumer and the embedded log, from an event to its finding at three rates, a process that joins, two against one; a plan for a million events a second (a quarter of an hour)
	cargo test --release --locked --workspace --test all -- --ignored --nocapture --test-threads 1 measure_the_log_on_kafka

bench-door: claim ## the front door as fast as it takes events durably, and feeds beside a bare parse of the same bytes
	cargo test --release --locked --test all -- --ignored --nocapture --test-threads 1 measure_the_front_door bench_feeds_beside_a_bare_parse

bench-respond: claim $(KEYWATCH_TEST_OPA) ## a thousand revocations at three real OPAs: intent, enforced on all, verified
	cargo test --release --locked --test all -- --ignored --nocapture --test-threads 1 a_thousand_revocations

bench-chains: claim $(KEYWATCH_TEST_ANVIL) $(KEYWATCH_TEST_BTCD) ## followers of chains: blocks a second while catching up, requests a block, memory over a hundred thousand blocks, from a block to its finding (anvil, btcd)
	cargo test --release --locked --test all -- --ignored --nocapture --test-threads 1 chains::figures

bench-peers: claim ## keywatch beside DataFusion, Flink SQL and rsigma (ARGS="keyed groups shipped flink rsigma growth"; each up to three minutes)
	cargo bench --profile peers --locked --workspace --bench peers -- $(ARGS)

docs: claim ## write the generated pages (docs/events.md) and bless golden files anew
	UPDATE_EXPECT=1 cargo test --release --locked --workspace

GRAFANA_SDK := $(KEYWATCH_CACHE)/tools/grafana-sdk
dashboards: $(GRAFANA_SDK)/bin/python ## write the Grafana dashboards anew (dashboards/grafana/generate)
	PYTHONDONTWRITEBYTECODE=1 $(GRAFANA_SDK)/bin/python dashboards/grafana/generate/generate.py dashboards/grafana/dashboards

grafana-sdk: $(GRAFANA_SDK)/bin/python ## install what generates the dashboards

$(GRAFANA_SDK)/bin/python: dashboards/grafana/generate/requirements.txt
	python3 -m venv $(GRAFANA_SDK)
	$(GRAFANA_SDK)/bin/pip install --quiet --requirement $<
	touch $@

SQL_DRIVERS := $(KEYWATCH_CACHE)/tools/sql-drivers
sql-drivers: $(SQL_DRIVERS)/bin/python ## install Python's drivers for PostgreSQL, with which SQL is tested

$(SQL_DRIVERS)/bin/python: tests/sql/drivers/requirements.txt
	python3 -m venv $(SQL_DRIVERS)
	$(SQL_DRIVERS)/bin/pip install --quiet --requirement $<
	touch $@

build-cost: ## what each dependency costs to build; fails for a new one of more than a minute (builds everything anew)
	.ci/build-cost

claim:
	@.ci/check-build-tools
	@.ci/claim-target "$(CARGO_TARGET_DIR)"

tools: $(KEYWATCH_TEST_OPA) $(KEYWATCH_TEST_ANVIL) $(KEYWATCH_TEST_BTCD) $(KEYWATCH_TEST_KAFKA)/complete $(KEYWATCH_TEST_BROWSER)/complete $(CARGO_DENY) ## install the pinned OPA, anvil, btcd, Kafka, Playwright and cargo-deny into the cache

geth: $(KEYWATCH_TEST_GETH) ## install the pinned geth, with which chains are tested too (minutes of processor time)

bcoin: $(KEYWATCH_TEST_BCOIN)/complete ## install the pinned bcoin, a second node of Bitcoin with which chains are tested too

cerbos: $(KEYWATCH_TEST_CERBOS) ## install the pinned Cerbos, before which the gate is tested too

$(KEYWATCH_CACHE)/tools/opa-$(OPA_VERSION)/opa:
	.ci/install-opa $(@D)

$(KEYWATCH_CACHE)/tools/anvil-$(ANVIL_VERSION)/anvil:
	.ci/install-anvil $(@D)

$(KEYWATCH_CACHE)/tools/btcd-$(BTCD_VERSION)/btcd:
	.ci/install-btcd $(@D)

$(KEYWATCH_CACHE)/tools/geth-$(GETH_VERSION)/geth:
	.ci/install-geth $(@D)

$(KEYWATCH_CACHE)/tools/bcoin-$(BCOIN_VERSION)/complete: tests/chains/bcoin/package-lock.json
	.ci/install-bcoin $(@D)

$(KEYWATCH_CACHE)/tools/cerbos-$(CERBOS_VERSION)/cerbos:
	.ci/install-cerbos $(@D)

$(KEYWATCH_CACHE)/tools/kafka-$(KAFKA_VERSION)/complete:
	.ci/install-kafka $(@D)

$(KEYWATCH_CACHE)/tools/browser/complete: tests/page/chromium/package-lock.json
	.ci/install-browser $(@D)

$(CARGO_DENY):
	.ci/install-cargo-deny $(KEYWATCH_CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)
