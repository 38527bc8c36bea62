#!/usr/bin/env bash
# kernels.sh [KERNEL]...: runs the tracer's tests and the exactness tests on Debian kernels in QEMU, in software
# emulation (no KVM needed): no figure of time means anything there. A kernel that cannot be had is a failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- 5.10 6.1 6.12 6.18 7.0 7.3
work=$(mktemp -d "${TMPDIR:-/tmp}/vmaleak-kernels.XXXXXX")
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -o "$work/vmaleak" ./cmd/vmaleak &&
	CGO_ENABLED=0 go test -c -o "$work/tracer.test" ./tracer &&
	CGO_ENABLED=0 go test -c -o "$work/exact.test" ./test/exact &&
	gcc -O1 -static -fno-omit-frame-pointer -o "$work/mapper" tracer/testdata/mapper.c &&
	gcc -O2 -static -pthread -o "$work/stress" test/stress/*.c || exit 1
cat >"$work/run" <<'RUN'
#!/bin/busybox sh
# Kernels before 5.15 have the enter-exit back end only, which claims less.
export VMALEAK_BIN=/vm/vmaleak VMALEAK_STRESS=/vm/stress VMALEAK_MAPPER=/vm/mapper VMALEAK_PATIENCE=5m
cd /tmp
/vm/vmaleak doctor
/vm/tracer.test -test.v -test.run "$TRACER_TESTS" || exit 1
[ -z "$EXACT_TESTS" ] || /vm/exact.test -test.v -test.timeout 20m -test.run "$EXACT_TESTS"
RUN
passed=0 failed=0
for kernel in "$@"; do
	# Before 6.17 a failed MREMAP_FIXED changes the map, and from 7.0 on the kernel skips programs under contention:
	# there only a ledger that is healed is equal.
	case $kernel in
	5.10) exact= ;;
	6.1 | 6.12) exact='TestSeedInStorm/owner|TestDirty' ;;
	7.*) exact='TestLossHealed' ;;
	*) exact='TestExact|TestAttribution|TestSeedInStorm/owner' ;;
	esac
	sed "2i export TRACER_TESTS=. EXACT_TESTS='$exact'" "$work/run" >"$work/run-$kernel"
	chmod 755 "$work/run-$kernel"
	log=$work/log-$kernel
	test/run-in-vm.sh -t 900 -m 2048 -f "$work/vmaleak:/vm/vmaleak" -f "$work/stress:/vm/stress" -f "$work/mapper:/vm/mapper" \
		-f "$work/tracer.test:/vm/tracer.test" -f "$work/exact.test:/vm/exact.test" "$kernel" "$work/run-$kernel" >"$log" 2>&1
	rc=$?
	p=$(grep -cE '^ *--- PASS' "$log") f=$(grep -cE '^ *--- FAIL' "$log")
	passed=$((passed + p)) failed=$((failed + f))
	if [ "$rc" -eq 0 ] && [ "$p" -gt 0 ]; then
		echo "kernel $kernel: $(grep -m1 -E '^-- +kernel' "$log" | awk '{print $3}'): $p passed"
	else
		failed=$((failed + 1))
		echo "kernel $kernel: FAILED (exit code $rc)"
		tail -n 60 "$log"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
