# vmaleak: make help lists the targets. Each installs what it lacks on Debian (as root).
SHELL := /bin/bash
GOLANGCI := v2.15.0
TOOLS := $(CURDIR)/.tools
export GOFLAGS := -buildvcs=auto
NETTY := /usr/share/java/netty-all.jar

.PHONY: all build generate generate-check test test-root test-kernels test-workloads test-tools bench soak fuzz lint format cover demo ci clean help

all: build ## the same as build

build: ## bin/vmaleak
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/vmaleak ./cmd/vmaleak

# need installs Debian packages, but only when a probe fails: $(call need,probe,packages)
need = @$(1) >/dev/null 2>&1 || test/install.sh $(2)

test-tools:
	$(call need,command -v gcc && command -v strace && command -v unshare && command -v setpriv,gcc libc6-dev strace util-linux)
	$(call need,command -v stress-ng,stress-ng)
	$(call need,command -v musl-gcc,musl-tools)
	$(call need,command -v javac,default-jdk-headless)
	$(call need,ls /usr/share/java/netty-*.jar,libnetty-java)

test: build test-tools ## every test that this machine can run; as root the live ones too
	test/run.sh ./...

test-root: build test-tools ## the tests that need root, none may skip
	@[ "$$(id -u)" = 0 ] || { echo "make test-root: run it as root: sudo make test-root"; exit 1; }
	VMALEAK_REQUIRE=all test/run.sh ./tracer/... ./symbolize/... ./cmd/... ./test/...

test-kernels: ## the kernel half on Debian's kernels 5.10 to 7.x, in QEMU
	$(call need,command -v qemu-system-x86_64 && command -v xz,qemu-system-x86 xz-utils)
	test/kernels.sh

test-workloads: build test-tools ## known leaks and their healthy controls on JDK 17 and 25; writes docs/VERDICTS.md; about 40 minutes
	$(call need,ls /usr/lib/jvm/*17*/include/jni.h,openjdk-17-jdk-headless)
	@ls /usr/lib/jvm/*25*/bin/javac >/dev/null 2>&1 || { echo "test-workloads: no JDK 25 in /usr/lib/jvm: install temurin-25-jdk from adoptium.net, or openjdk-25-jdk-headless"; exit 1; }
	VMALEAK_REQUIRE=all VMALEAK_WORKLOADS=all VMALEAK_VERDICTS=$(CURDIR)/docs/VERDICTS.md SOAK_TIMEOUT=2h test/run.sh ./test/workloads

soak: build test-tools ## the exactness tests in full: about an hour
	VMALEAK_REQUIRE=all VMALEAK_SOAK=1 SOAK_TIMEOUT=3h test/run.sh ./vma/... ./test/...

bench: build test-tools ## measures the cost and writes docs/OVERHEAD.md; about 10 minutes
	$(call need,command -v bpftrace && command -v perf,bpftrace linux-perf)
	test/bench/run.sh

fuzz: ## each fuzz target for FUZZTIME (30s)
	test/fuzz.sh $${FUZZTIME:-30s}

GENERATORS = command -v clang-19 && command -v llvm-strip-19 && test -e /usr/include/bpf/bpf_helpers.h
generate: ## compiles bpf/*.bpf.c anew
	$(call need,$(GENERATORS),clang-19 llvm-19 libbpf-dev linux-libc-dev)
	go generate ./bpf

generate-check: generate ## fails if the committed objects are not what the source gives
	@git diff --exit-code --stat -- bpf || { echo "generate-check: bpf/ differs from its source: run make generate and commit"; exit 1; }

lint: $(TOOLS)/golangci-lint-$(GOLANGCI) ## golangci-lint, gofmt, clang-format, shellcheck
	$(call need,command -v clang-format-19 && command -v shellcheck,clang-format-19 shellcheck)
	$< run ./...
	clang-format-19 --dry-run -Werror bpf/*.c bpf/*.h
	shellcheck test/*.sh test/*/*.sh .ci/run

$(TOOLS)/golangci-lint-$(GOLANGCI):
	GOBIN=$(TOOLS) GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	mv $(TOOLS)/golangci-lint $@

format: ## gofmt and clang-format, in place
	gofmt -w bpf cmd leak report strace symbolize test tracer vma
	$(call need,command -v clang-format-19,clang-format-19)
	clang-format-19 -i bpf/*.c bpf/*.h

cover: build test-tools ## test coverage, per package
	go test -cover ./...

demo: build ## traces a small program that leaks (one minute; as root, or by sudo)
	@if [ "$$(id -u)" = 0 ]; then bin/vmaleak demo; else sudo bin/vmaleak demo; fi

ci: lint generate-check ## what .ci/run calls: lint, generate-check, every test
	VMALEAK_REQUIRE=$${VMALEAK_REQUIRE-all} $(MAKE) --no-print-directory test

clean: ## removes what was built
	rm -rf bin .tools

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile
