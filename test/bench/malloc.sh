#!/usr/bin/env bash
# malloc.sh [VMALEAK]: what --malloc costs each call of malloc and free, as the section of docs/OVERHEAD.md on stdout.
# Needs root and gcc. run.sh calls it.
set -euo pipefail
cd "$(dirname "$0")/../.."
vmaleak=${1:-bin/vmaleak}
tmp=$(mktemp -d) tracer='' pids=''
end() {
	local pid
	for pid in $tracer ${pids//,/ }; do kill "$pid" 2>/dev/null || true; done
	wait
	rm -rf "$tmp"
}
trap end EXIT
gcc -O2 -pthread -o "$tmp/pair" test/bench/pair.c
median() { sort -g | awk '{ v[NR] = $1 } END { printf "%.0f\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

declare -A in out
for m in small block; do
	mkfifo "$tmp/$m.in" "$tmp/$m.out"
	"$tmp/pair" --mode $m --stack 8192 --rounds 1000000 --wait <"$tmp/$m.in" >"$tmp/$m.out" &
	exec {fd}>"$tmp/$m.in"
	in[$m]=$fd
	exec {fd}<"$tmp/$m.out"
	out[$m]=$fd
	read -r line <&"${out[$m]}"
	pids=${pids:+$pids,}${line##* }
done

# cost MODE N ROUNDS REST: CPU ns of one malloc and free, the median of rounds of N with a rest between.
cost() {
	local line
	for _ in $(seq "$3"); do
		echo "$2" >&"${in[$1]}"
		read -r -a line <&"${out[$1]}"
		echo "${line[6]}"
		sleep "$4"
	done | median
}

# traced ARGS...: begins a trace of both, and returns when it is ready.
traced() {
	rm -f "$tmp/ready"
	"$vmaleak" trace -p "$pids" --no-save --no-tui --json "$tmp/export.json" --ready-file "$tmp/ready" "$@" >"$tmp/log" 2>&1 &
	tracer=$!
	for _ in $(seq 300); do
		[ ! -e "$tmp/ready" ] || return 0
		sleep 0.1
	done
	cat "$tmp/log" >&2
	return 1
}
detach() {
	kill -INT "$tracer"
	wait "$tracer" || true
	tracer=
}

small0=$(cost small 1000000 5 0) block0=$(cost block 500000 5 0)
traced
small1=$(cost small 1000000 5 0) block1=$(cost block 500000 5 0)
detach
traced --malloc 32KiB --stacks=off
small2=$(cost small 100000 5 0) block2=$(cost block 20000 5 0.2)
detach
# Bursts below the rate of stacks, so that each block has its stack taken.
traced --malloc 32KiB
block3=$(cost block 400 15 0.3)
detach
told=$(grep -o '"call_ns": *[0-9]*,"tracked_ns": *[0-9]*' "$tmp/export.json" | head -n 1 | tr -cd '0-9,')

per() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (a - b) / 2000 }'; }
cat <<-END
	## --malloc

	CPU time of one malloc and its free, $(uname -sr), medians; the block of 64 KiB comes from what malloc has, without a system call, with 8 KiB of stack in use.

	| | malloc and free of 64 B | of 64 KiB | a call of malloc or free costs more |
	|---|---|---|---|
	| untraced | $small0 ns | $block0 ns | |
	| vmaleak trace | $small1 ns | $block1 ns | 0: there are no probes |
	| \`--malloc 32KiB --stacks=off\` | $small2 ns | $block2 ns | $(per "$small2" "$small0") µs if it is smaller, $(per "$block2" "$block0") µs if it is followed |
	| \`--malloc 32KiB\`, a stack for each | | $block3 ns | $(per "$block3" "$block0") µs if it is followed |

	Every call of malloc, calloc, realloc, memalign and free in the target stops at a probe, whatever its size: the kernel's price of an uprobe. Other processes have no probe.
	As each trace begins it measures the same on a child of its own, and says it with the calls a second and what share of a processor that is: here $(awk -F, -v t="$told" 'BEGIN { split(t, v, ","); printf "%.2f and %.2f µs", v[1] / 1000, v[2] / 1000 }')
	(of a child whose stack is larger, and at most, since above 4,000 stacks a second none is taken).

	    test/bench/malloc.sh bin/vmaleak
END
