.DEFAULT_GOAL := help
VERSION := $(shell git describe --tags --match 'v[0-9]*' --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/sluicehq/sluice/pkg/telemetry.version=$(VERSION)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Tests are built as the binaries are, so that the build cache holds everything once. Without DWARF, which the linker
# drops from the binaries anyway, the compiler needs an eighth less time and a fifth less memory; stack traces stay whole.
FLAGS := -trimpath -gcflags=all=-dwarf=false
export CGO_ENABLED := 0
export GOFLAGS := $(FLAGS) $(filter-out $(FLAGS),$(GOFLAGS))

# The modules of go.work: here, and below it what teams import and what that shares with the programs.
MODULES := . ./internal ./otel ./pkg
ALL := $(MODULES:%=%/...)

.PHONY: help build bill deb dist dist-test run env test race fuzz faults soak stack stack-test alerts-test picture bench lint vuln reproducible tidy weigh api fmt docs site deps ci

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

BUILD := go build -v -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/

PROGRAMS := ./gateway ./consumer/... ./sluicectl ./console

build: ## build all binaries into bin/
	@mkdir -p bin
	@tools/build "all programs" $(BUILD) $(PROGRAMS)

BUILT = bin/gateway bin/pbx bin/telesales bin/autocall bin/forward bin/archive bin/sluicectl bin/console

bill: build ## say what the programs are made of: a bill of materials and the licences, into dist/
	@mkdir -p dist
	@cd tools && ./build "the tool for bills" go build -v -o ../dist/.modules ./modules
	@VERSION=$(VERSION) dist/.modules bom $(BUILT) >dist/sluice.cdx.json
	@dist/.modules texts $(BUILT) >dist/third-party-licences.txt
	@rm dist/.modules; ls dist/sluice.cdx.json dist/third-party-licences.txt

# The time of the last commit is that of all files in it: who packages the same programs again gets the same package.
deb: bill ## package all binaries for Debian, with units and configuration: dist/sluice_VERSION_ARCH.deb
	@cd tools && ./build "the packager" go build -v -o ../dist/.deb ./deb
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) dist/.deb $(VERSION) $$(go env GOARCH) bin dist dist/sluice_$(VERSION:v%=%)_$$(go env GOARCH).deb
	@rm dist/.deb; ls dist/*.deb

# For somebody who packs the same commit again, SOURCE_DATE_EPOCH is that of the first.
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64
dist: ## pack all binaries for every platform, with checksums, into dist/
	@tools/dist $(VERSION) dist $(PLATFORMS)

dist-test: ## pack and unpack those for Linux, and run them
	go test -count=1 -timeout 20m -v ./deploy -run TestDist -dist

# What `sluicectl run` starts, and itself.
RUN := ./gateway ./consumer/pbx ./consumer/telesales ./consumer/autocall ./sluicectl ./console

run: ## build, and run gateway, consumers and console together, with their data in ./data
	@mkdir -p bin
	@tools/build "$(words $(RUN)) programs" $(BUILD) $(RUN)
	@exec bin/sluicectl run

env: ## write what docker-compose.yml needs and is not there: .env, and secrets, accounts and folders for data in ./stack
	@mkdir -p bin
	@tools/build sluicectl $(BUILD) ./sluicectl
	@deploy/compose/env

APT := DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get -o DPkg::Lock::Timeout=300
RECEIVERS := consumer/forward/testdata/receivers

deps: ## install what the tests need and is missing: servers and languages (Debian packages), Express and ioredis (npm)
	@echo "looking for what the tests need: Redis, PostgreSQL, PHP, Python, Node, nginx, Caddy, Chromium, Prometheus"; missing=; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	command -v php >/dev/null && php -m | grep -qx redis || missing="$$missing php-cli php-redis"; \
	/usr/bin/python3 -c 'import fastapi, redis, uvicorn' 2>/dev/null || missing="$$missing python3-fastapi python3-redis python3-uvicorn"; \
	command -v npm >/dev/null || missing="$$missing nodejs npm"; \
	command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$$missing nginx"; \
	[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing="$$missing libnginx-mod-stream"; \
	command -v caddy >/dev/null || missing="$$missing caddy"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v wget >/dev/null || missing="$$missing wget"; \
	[ -z "$$missing" ] || { echo "installing$$missing"; $(APT) update -q && $(APT) install -yq --no-install-recommends $$missing; }
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || { echo "installing prometheus and promtool, without their service"; \
	dir=$$(mktemp -d) && chmod 755 $$dir && cd $$dir && { apt-get download -q prometheus || { $(APT) update -q && apt-get download -q prometheus; } } && \
	dpkg-deb -x prometheus_*.deb . && $(SUDO) install usr/bin/prometheus usr/bin/promtool /usr/local/bin/ && rm -r $$dir; }
	@cmp -s $(RECEIVERS)/node/package-lock.json $(RECEIVERS)/node/node_modules/.installed || { npm ci --prefix $(RECEIVERS)/node --no-audit --no-fund && \
	cp $(RECEIVERS)/node/package-lock.json $(RECEIVERS)/node/node_modules/.installed; }

test: deps ## run all tests, against real servers
	@tools/build "packages and their tests" go list -v -export -deps -test $(ALL)
	@go tool -n github.com/nats-io/nats-server/v2 >/dev/null # links it
	@cd tools && ./build "tools of the tests: S3, ACME, compose, power cuts, apidiff, nats" go list -v -export -deps ./... github.com/versity/versitygw/cmd/versitygw github.com/letsencrypt/pebble/v2/cmd/pebble golang.org/x/exp/cmd/apidiff github.com/nats-io/natscli/nats
	@cd tools && go tool -n github.com/nats-io/natscli/nats >/dev/null
	@cd tools/otlp && ../build "the OpenTelemetry collector's receiver" go list -v -export -deps ./...
	@[ -r /dev/fuse -a -w /dev/fuse ] || echo "SKIPPED: all tests of a power cut. They need FUSE: run them on Linux where you may use /dev/fuse, as root for one"
	@[ "$$(id -u)" = 0 ] || echo "SKIPPED: installing the Debian package. Only root may, even in a copy of this machine"
	@echo "testing"
	go test $(ALL)

# What is left out has its concurrency in processes of its own, or in the packages that are tested here; building all of
# it anew would take longer than testing it. One package at a time, because the detector makes all of it several times slower.
race: deps ## run the tests of what is concurrent with the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -p 1 ./gateway/... ./internal/... ./otel/... ./pkg/... ./console ./consumer/archive ./consumer/forward

fuzz: ## fuzz what parses bytes from outside, 30 s each
	go test -run '^$$' -fuzz FuzzValidName -fuzztime 30s ./pkg/event
	go test -run '^$$' -fuzz FuzzEventName -fuzztime 30s ./pkg/zorio
	go test -run '^$$' -fuzz FuzzParseHeaders -fuzztime 30s ./internal/ops/verify
	go test -run '^$$' -fuzz FuzzSeconds -fuzztime 30s ./gateway/ingest
	go test -run '^$$' -fuzz FuzzIntroduction -fuzztime 30s ./gateway/ingest
	go test -run '^$$' -fuzz FuzzRequest -fuzztime 30s -fuzzminimizetime 1s ./gateway/ingest
	go test -run '^$$' -fuzz FuzzVerify -fuzztime 30s ./pkg/signature
	go test -run '^$$' -fuzz FuzzParseAck -fuzztime 30s ./internal/stream
	go test -run '^$$' -fuzz FuzzAddress -fuzztime 30s ./internal/mask
	go test -run '^$$' -fuzz FuzzBytes -fuzztime 30s ./pkg/settings
	go test -run '^$$' -fuzz FuzzTargets -fuzztime 30s ./consumer/forward
	go test -run '^$$' -fuzz FuzzOpen -fuzztime 30s -fuzzminimizetime 1s ./gateway/journal

FAULTS := go test -count=1 -timeout 4h -v ./faults -all -rates 200,2000

faults: deps ## break everything around the gateway under load, and write what that did to docs/faults.md (an hour)
	$(FAULTS) -write

soak: deps ## take NATS away for ten minutes, in every way of the table, and cut the power a thousand times (two hours)
	go test -count=1 -timeout 1h -v ./gateway -run OutlivesAPowerCut -powercuts 50
	go test -count=1 -v ./gateway -run RenewedByItself -patient
	go test -count=20 -timeout 1h ./gateway/journal -run PowerCut
	go test -count=1 -v ./consumer -run Account -events 100000 -outage 2m
	$(FAULTS) -run 'TestFaults/under_load/(NATS_killed|NATS_hangs|gateway_killed_while)' -away 10m
	$(MAKE) alerts-test

stack: deps caddy ## run all that docker-compose.yml describes, as processes, and say where it is
	@go test -count=1 -timeout 0 -v ./deploy -run TestServe -serve

# On a machine that is busy with something else: a lower RATE.
LOAD := 2m
RATE := 500
stack-test: deps caddy ## replace every part of that under load, and hold an account
	go test -count=1 -timeout 30m -v ./deploy -run TheStackOutlives -load $(LOAD) -rate $(RATE)

alerts-test: deps ## make each fault that has an alert, and see that one fire, through a real Prometheus
	go test -count=1 -timeout 10m -v ./deploy -run EachFault -alerts

picture: deps ## run everything for five minutes while its parts fail, and draw the dashboard of that into docs/dashboard.svg
	go test -count=1 -timeout 20m -v ./deploy -run TestTheDashboardShowsARun -picture docs/dashboard.svg

console-test: deps ## what the console shows and does, in a browser, with a gateway and consumers
	go test -count=1 -timeout 10m -v ./console -whole

screenshots: deps ## take pictures of the console's pages: those of docs/, and all of them in a folder that it names
	go test -count=1 -timeout 10m -v ./console -run TestScreenshots -write

.PHONY: caddy
caddy:
	@cd tools/caddy && ../build Caddy go list -v -export -deps github.com/caddyserver/caddy/v2/cmd/caddy

bench: deps ## measure the gateway beside a plain receiver, in one run
	go run ./bench
	go test -run '^$$' -bench Drain -benchtime 40000x ./consumer/pbx
	go test -run '^$$' -bench Backlog -benchtime 20000x ./pkg/worker
	go test -run '^$$' -bench Forward -benchtime 10000x ./consumer/forward
	GOMAXPROCS=1 go test -run '^$$' -bench Files -benchtime 1x ./consumer/archive/files
	go test -run '^$$' -bench Bytes -benchtime 1000000x ./gateway/seen

.PHONY: profile
profile: deps ## write CPU profiles of a worker and of a group in Redis into bin/, and print where the time goes
	go test -run '^$$' -bench Backlog -benchtime 20000x -cpuprofile bin/worker.prof -o bin/worker.test ./pkg/worker
	go test -run '^$$' -bench Group/small -cpuprofile bin/seen.prof -o bin/seen.test ./gateway/seen
	go tool pprof -top -cum -nodecount 40 bin/worker.test bin/worker.prof
	go tool pprof -top -cum -nodecount 40 bin/seen.test bin/seen.prof

lint: ## go vet and golangci-lint
	go vet $(ALL)
	tools/lint $(ALL)

vuln: ## look for known vulnerabilities in what the programs call
	@tools/vuln ./... ./internal/... ./otel/... ./pkg/...

reproducible: ## build everything twice, in different folders with empty caches, and compare the programs
	tools/reproducible

tidy: ## check that each go.mod says what its module imports, no more and no less
	@for module in $(MODULES) ./tools ./tools/caddy ./tools/otlp; do (cd $$module && go mod tidy -diff) || exit 1; done

weigh: ## what a team's consumer weighs: its modules, and seconds to build it with an empty cache
	go test -count=1 -v -run TestATeamsModuleIsLight . -cold

api: ## compare the API of pkg/ with the last tag
	@tools/api

fmt: ## format the code
	gofmt -w .

docs: ## write what is made from the code: the tables of docs/, and the names of all settings
	go test -count=1 -run 'TestTablesAreMadeFromTheCode|TestEveryBinaryKnowsTheOthersSettings' . -update
	go test -count=1 -run TestTheConfigurationsAreThoseOfTheOthers ./deploy -update

site: ## make a website of README and docs/ in ./site
	@cd tools && go build -o ../bin/site ./site
	@rm -rf site && bin/site site && echo "site/index.html"

ci: ## what CI runs
	.ci/run
