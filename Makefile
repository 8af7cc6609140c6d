.DEFAULT_GOAL := help
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/sluicehq/sluice/pkg/telemetry.version=$(VERSION)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help build run test race fuzz bench lint fmt deps ci

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

build: ## build all binaries into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./gateway ./consumer/... ./sluicectl

run: build ## build, and run gateway and consumers together, with their data in ./data
	@exec bin/sluicectl run

deps: ## install what the tests need and is missing: redis-server and PostgreSQL (Debian packages)
	@command -v redis-server >/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -yq redis-server; }
	@command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -yq postgresql; }

test: deps ## run all tests, against real servers
	go test ./...

race: deps ## run all tests with the race detector (needs a C compiler)
	go test -race ./...

fuzz: ## fuzz what parses bytes from outside, 30 s each
	go test -run '^$$' -fuzz FuzzValidName -fuzztime 30s ./pkg/event
	go test -run '^$$' -fuzz FuzzTopLevelEvent -fuzztime 30s ./gateway/source
	go test -run '^$$' -fuzz FuzzSeconds -fuzztime 30s ./gateway/ingest
	go test -run '^$$' -fuzz FuzzParseAck -fuzztime 30s ./pkg/stream

bench: deps ## measure the gateway beside a plain receiver, in one run
	go run ./bench

lint: ## go vet and golangci-lint
	go vet ./...
	go tool -modfile=tools/go.mod golangci-lint run

fmt: ## format the code
	gofmt -w .

ci: ## what CI runs
	.ci/run
