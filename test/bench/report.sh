# shellcheck shell=bash disable=SC2154 # the variables are run.sh's
# Part of run.sh: the figures against their limits, and docs/OVERHEAD.md.

# of TRACER MODE COLUMN: of the ratios.
of() { ratios | awk -v t="$1" -v m="$2" -v c="$3" '$1 == t && $2 == m { print $c }'; }

# millions NUMBER
millions() { awk -v n="$1" 'BEGIN { printf "%.2f million", n / 1e6 }'; }

# bench NAME UNIT: the median of a Go benchmark's metric.
bench() { awk -v n="$1" -v u="$2" '$1 ~ "^Benchmark" n "(-[0-9]+)?$" { for (i = 2; i < NF; i++) if ($(i + 1) == u) printf "%.0f\n", $i }' "$tmp/go" | median; }

rss() { awk -v k="$1:" '$1 == k { printf "%.1f\n", $2 / 1024 }' "$tmp/rss"; }

lost_messages() { awk '{ for (i = 1; i < NF; i++) if ($i == "lost" || $i == "bad") n += $(i + 1) } END { print n + 0 }' "$tmp/loads"; }

# limit WHAT VALUE OPERATOR LIMIT [CLEAN]: UNSURE without a repeat that nothing disturbed.
limit() {
	local word
	word=$(awk -v v="${2:-}" -v op="$3" -v l="$4" 'BEGIN { print v != "" && (op == "<=" ? v <= l + 0 : op == "<" ? v < l + 0 : v >= l + 0) ? "PASS" : "FAIL" }')
	if [ "${5:-1}" = 0 ]; then word=UNSURE; fi
	echo "$word $1: ${2:-not measured} (limit $3 $4)"
}

verdicts() {
	limit "traced mmap+munmap pair, CPU ratio" "$(of vmaleak pair 3)" '<=' 1.7 "$(of vmaleak pair 8)"
	limit "the pair with 16 pages touched, CPU ratio" "$(of vmaleak touch 3)" '<=' 1.12 "$(of vmaleak touch 8)"
	limit "bystander's getpid, CPU ratio" "$(of bystander getpid 3)" '<=' 1.45 "$(of bystander getpid 8)"
	limit "consumer, events/s of one core, 16,384 areas" "$(bench Consumer/areas=16384 events/cpu-s)" '>=' 2000000
	limit "1 million areas, MB at the peak" "$(bench MillionAreas peak-MB)" '<=' 250
	limit "resident MiB of a trace of an idle JVM after $rss_after s" "$(rss VmRSS)" '<' 60
	limit "Netty, 400 messages/s: server CPU per message, ratio" "$(netty_ratios | median)" '<=' 1.05
	limit "Netty: messages lost" "$(lost_messages)" '<=' 0
}

# table MODE...: a row for each tracer.
table() {
	local t m
	for t in vmaleak bystander strace perf bpftrace; do
		[ -n "$(of "$t" pair 3)" ] || continue
		printf '| %s |' "$t"
		for m in "$@"; do printf ' %s (%s–%s) |' "$(of "$t" "$m" 3)" "$(of "$t" "$m" 6)" "$(of "$t" "$m" 7)"; done
		echo
	done
}

untraced_ns() { of vmaleak "$1" 5; }

document() {
	local t u v
	u=$(netty_column untraced 3 | median) v=$(netty_column vmaleak 3 | median)
	cat <<-END
		# What vmaleak costs

		Written by \`make bench\` (test/bench/run.sh); run it again and this file is written anew.

		| | |
		|---|---|
		| date | $(date -u +%F) |
		| kernel | $(uname -sr), $(uname -m) |
		| machine | $(nproc) CPUs, $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), $(systemd-detect-virt 2>/dev/null || echo "virtualisation unknown") |
		| vmaleak | $("$vmaleak" version | head -n 1), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown) |
		| load average | before: $load_before; after: $load_after (the measuring itself makes about 2) |

		## The limits

		$(verdicts | sed 's/^\(PASS\|FAIL\|UNSURE\)/- **\1**/')

		## One system call

		CPU time of the traced thread for one operation, as a ratio to untraced: the median of $repeats repeats (least–most),
or of those of them that no other tracer on the host disturbed: $(of bystander getpid 8) for the bystander's getpid, $(of vmaleak pair 8) for the pair.
		In each repeat every tracer runs between two untraced rounds and is compared with their mean.
		Untraced, one operation takes: mmap+munmap of 64 KiB $(untraced_ns pair) ns; with its 16 pages touched $(untraced_ns touch) ns; getpid $(untraced_ns getpid) ns; read+write of one byte $(untraced_ns rw) ns.

		| tracer | mmap+munmap | + touch 16 pages | getpid | read+write |
		|---|---|---|---|---|
		$(table pair touch getpid rw)

		By the clock, as the program feels it: a tracer that stops the thread costs it time in which it does not run, and on a busy machine all of it is noisier.

		| tracer | mmap+munmap | + touch 16 pages | getpid | read+write |
		|---|---|---|---|---|
		$(table pair.wall touch.wall getpid.wall rw.wall)

		$(if [ -s "$tmp/absent" ]; then sed 's/^/- did not run here: /' "$tmp/absent"; else echo "perf and bpftrace both ran here."; fi)

		In words: a thread that does nothing but map and unmap pays about $(awk -v a="$(of vmaleak pair 4)" -v b="$(untraced_ns pair)" 'BEGIN { printf "%.1f", (a - b) / 2000 }') µs a call;
		memory that is used costs so much more to fault in that the share shrinks to what the second column says. Calls that are not about
		memory pay the kernel's fixed price of having any system call tracepoint in use, about $(awk -v a="$(of bystander getpid 4)" -v b="$(untraced_ns getpid)" 'BEGIN { printf "%.0f", a - b }') ns, in **every process of the host** (the bystander's row), and no more.

		$(for t in vmaleak bystander strace perf bpftrace; do printf '    %-10s %s\n' "$t" "$(command_of "$t")"; done)

		The program is \`test/bench/pair.c\`: \`pair --mode pair|touch|getpid|rw --wait\`.

		## A Netty server

		JDK $(java -version 2>&1 | awk -F'"' 'NR == 1 { print $2 }'), test/java/NettyLeak.java \`--no-leak\`, 400 messages of 4 KiB a second for $netty_seconds s, $netty_pairs pairs of loads traced and untraced, their order changing.

		| | server CPU µs a message | ratio |
		|---|---|---|
		| untraced | $(awk -v v="$u" 'BEGIN { printf "%.1f", v / 1000 }') | 1 |
		| vmaleak trace | $(awk -v v="$v" 'BEGIN { printf "%.1f", v / 1000 }') | $(netty_ratios | median) ($(netty_ratios | sort -g | sed -n '1p')–$(netty_ratios | sort -g | tail -n 1)) |
		| strace -f -e trace=brk,mmap,munmap (one run) | $(netty_column strace 3 | awk '{ printf "%.1f", $1 / 1000 }') | $(netty_column strace 3 | awk -v u="$u" '{ printf "%.2f", $1 / u }') |

		Median latency: untraced $(netty_column untraced 4 | median) µs, traced $(netty_column vmaleak 4 | median) µs, under strace $(netty_column strace 4) µs. Messages lost in all runs: $(lost_messages).
		To attach, thread dump included, costs the server once $(netty_column attach 3 | median | awk '{ printf "%.0f", $1 / 1e6 }') ms of CPU.

		    java ${flags[*]} NettyLeak --no-leak
		    java NettyLoad --rate 400 --seconds $netty_seconds --port PORT
		    $(command_of vmaleak)

		## vmaleak itself

		| | |
		|---|---|
		| consumer, decode to books, 1,024 areas | $(millions "$(bench Consumer/areas=1024 events/cpu-s)") events/s of one core |
		| 16,384 areas | $(millions "$(bench Consumer/areas=16384 events/cpu-s)") |
		| 1,048,576 areas, one at random each time | $(millions "$(bench Consumer/areas=1048576 events/cpu-s)") |
		| memory of 1,000,000 areas | $(bench MillionAreas live-MB) MB live, $(bench MillionAreas peak-MB) MB at the peak |
		| resident, tracing the idle server, after $rss_after s | $(rss VmRSS) MiB, $(rss VmHWM) MiB at the peak |

		Per second of CPU time, not of the clock. In a space of a million areas each event misses the caches; no JVM has so many.

		    GOMAXPROCS=1 go test -run '^\$' -bench 'Consumer|MillionAreas' -count $count ./tracer

		## Noise

		CPU time is not wall time, but caches, sibling threads and the hypervisor are shared with whatever else runs: differences below 5 % mean nothing here,
		and the ranges above say how far single repeats lie apart. Another tracer on the host would make "untraced" dearer; run.sh waits for it to end, and leaves out of the ratios
what was disturbed, if anything else is left. Disturbed were:

		$(if [ -s "$tmp/disturbed" ]; then sort "$tmp/disturbed" | uniq -c | sed 's/^ *\([0-9]*\) \(.*\)/- \2 (\1 times)/'; else echo "- none."; fi)
	END
}
