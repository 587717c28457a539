# The two commands of the README are `make demo` and `make test`.
VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo devel)
# SHA-256 of the pipelock binary this build accepts; empty = the pipelock role refuses to start.
PIPELOCK_SHA256 ?=

GOFLAGS_STATIC = -trimpath -ldflags "-s -w -X main.version=$(VERSION)
BUILD_ENV      = CGO_ENABLED=0

export VERSION

.PHONY: build image demo test bench lint fuzz deps clean
build: ## the two static binaries, in bin/
	@mkdir -p bin
	$(BUILD_ENV) go build $(GOFLAGS_STATIC) -X main.pipelockSHA256=$(PIPELOCK_SHA256)" -o bin/sidecars ./cmd/sidecars
	$(BUILD_ENV) go build $(GOFLAGS_STATIC)" -o bin/bottle ./cmd/bottle

image: ## the bundle's image, claude-bottle-sidecars:latest; PIPELOCK_BIN=path or PIPELOCK_IMAGE=name@sha256:... puts pipelock in
	PIPELOCK_BIN='$(PIPELOCK_BIN)' PIPELOCK_IMAGE='$(PIPELOCK_IMAGE)' scripts/image

demo: build ## brings up a bottle and shows what it lets through and what it refuses
	$(BUILD_ENV) go build -trimpath -o bin/pipelock-standin ./internal/pipelocktest/pipelock-standin
	bin/bottle demo

deps: ## installs what the tests need
	scripts/test-deps

test: deps ## every test, with the race detector
	go vet ./...
	go test -race -count=1 -timeout 18m ./...

bench: build ## tables: egress and git-gate against direct and mitmdump, scanning against gitleaks, start times, memory, size
	scripts/bench-deps
	scripts/docker-engine
	$(BUILD_ENV) go build -trimpath -o bin/pipelock-standin ./internal/pipelocktest/pipelock-standin
	go build -o bin/bench-scan ./internal/bench/scan
	go build -tags gore2regex -o bin/bench-scan-re2 ./internal/bench/scan
	go run ./internal/bench

lint:
	test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go tool staticcheck ./...

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

clean:
	rm -rf bin
