#!/usr/bin/env bash
# run.sh [--quick]: measures what vmaleak costs, holds it against its limits, and
# writes docs/OVERHEAD.md. --quick takes less than two minutes and writes no file.
# Needs root, bin/vmaleak, gcc, a JDK and libnetty-java; strace, perf and bpftrace are
# compared with where they run. Code 1: a limit was missed, or something could not be
# measured, or only while other tracers ran (UNSURE).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

repeats=3 scale=1 benchtime=1s count=3 rss_after=30 netty_pairs=7 netty_seconds=15 warmup=20 bursts=15 cost_seconds=3 costs=3 starts=5 quick=
if [ "${1-}" = --quick ]; then
	PATIENCE=0 quick=1 repeats=1 scale=3 benchtime=0.2s count=1 rss_after=3 netty_pairs=2 netty_seconds=2 warmup=4 bursts=5 cost_seconds=2 costs=1 starts=1
elif [ $# -gt 0 ]; then
	echo "usage: run.sh [--quick]" >&2
	exit 2
fi
if [ "$(id -u)" != 0 ]; then
	echo "run.sh: tracing needs root: sudo make bench" >&2
	exit 1
fi
for f in bin/vmaleak /usr/share/java/netty-all.jar; do
	[ -e "$f" ] || { echo "run.sh: no $f: make bench makes it" >&2; exit 1; }
done

# How many seconds may pass in waiting for other tracers to end.
patience=${PATIENCE:-300}
tmp=$(mktemp -d) background=() tracer='' failed=0
end() {
	local pid
	for pid in $tracer "${background[@]}"; do kill "$pid" 2>/dev/null; done
	wait
	rm -rf "$tmp"
}
trap end EXIT
trap 'exit 130' INT TERM
: >"$tmp/absent"
: >"$tmp/disturbed"
# A copy: bin/ may be built anew meanwhile.
cp bin/vmaleak "$tmp/vmaleak"
vmaleak=$tmp/vmaleak
sleep infinity &
idle=$!
background+=("$idle")

# shellcheck source=test/bench/lib.sh
. test/bench/lib.sh
# shellcheck source=test/bench/pairs.sh
. test/bench/pairs.sh
# shellcheck source=test/bench/netty.sh
. test/bench/netty.sh
# shellcheck source=test/bench/stacks.sh
. test/bench/stacks.sh
# shellcheck source=test/bench/report.sh
. test/bench/report.sh

load_before=$(cut -d' ' -f1-3 /proc/loadavg)
gcc -O2 -pthread -o "$tmp/pair" test/bench/pair.c || exit 1
go test -c -o "$tmp/tracer.test" ./tracer || exit 1

pairs "$repeats"
say "consumer"
GOMAXPROCS=1 "$tmp/tracer.test" -test.run '^$' -test.bench 'Consumer|MillionAreas' -test.benchtime "$benchtime" -test.count "$count" >"$tmp/go" ||
	{ cat "$tmp/go" >&2; failed=1; }
begin_server || { cat "$tmp/server.out" >&2; exit 1; }
say "resident after $rss_after s"
idle_rss "$rss_after" || failed=1
starts "$starts" || failed=1
prepare || { cat "$tmp/go" >&2; failed=1; }
netty "$netty_pairs" "$netty_seconds" "$warmup" || failed=1
kill "$server"
costs "$cost_seconds" "$costs" || failed=1
say "--malloc"
test/bench/malloc.sh "$vmaleak" >"$tmp/malloc" || failed=1
load_after=$(cut -d' ' -f1-3 /proc/loadavg)

if [ -n "$quick" ]; then
	document
else
	mkdir -p docs
	document >docs/OVERHEAD.md
	say "wrote docs/OVERHEAD.md"
fi
verdicts | tee "$tmp/verdicts" >&2
! grep -qE '^(FAIL|UNSURE)' "$tmp/verdicts" && [ "$failed" = 0 ]
