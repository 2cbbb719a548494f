# Every target is one script or one cargo command; the scripts are in scripts/.
.DEFAULT_GOAL := help
.PHONY: bench chaos check contract demo docs fmt fuzz help images lint soak test

demo: ## Simulated Discord -> gateway-ws -> RabbitMQ -> a worker in Python, live
	@scripts/demo.sh

test: ## All tests, with private RabbitMQ and Redis servers; BROKER=4: with RabbitMQ 4 and Valkey
	@scripts/test.sh

chaos: ## Takes things away from a fleet under load, for CHAOS_SECONDS (60) each, and counts every event
	@scripts/chaos.sh

soak: ## Calls that play for long and lose their nodes, heard by the simulated Discord: SOAK_SECONDS (60) of a tone
	@scripts/soak.sh

check: ## What CI runs: formats, lints, licences, contract, tests, images, a short demo
	@scripts/check.sh

bench: ## The benchmarks, with the peers' numbers beside ours
	@scripts/bench.sh

images: ## Build the image of each service on each base, and let events, requests, interactions and a call pass through it
	@scripts/images.sh

lint: ## The part of `check` that needs no server
	@scripts/lint.sh

contract: ## Take what was added to proto/ into proto/baseline.binpb; breaking changes are refused
	@scripts/contract.sh --accept

docs: ## The reference of the contract, in docs/reference, and of the Rust code, in target/doc
	@scripts/docs.sh

fuzz: ## Fuzz the transcoder, routing keys, signatures and sound; FUZZ_SECONDS (60) for each target
	@scripts/fuzz.sh $${FUZZ_SECONDS:-60}

fmt: ## Format the Rust and the Python code
	@scripts/fmt.sh

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
