# shellcheck shell=bash disable=SC2154 # the variables are run.sh's
# Part of run.sh: the figures against their limits, and docs/OVERHEAD.md.

# of TRACER MODE COLUMN: of the ratios.
of() { ratios | awk -v t="$1" -v m="$2" -v c="$3" '$1 == t && $2 == m { print $c }'; }

# millions NUMBER
millions() { awk -v n="$1" 'BEGIN { printf "%.2f million", n / 1e6 }'; }

# bench NAME UNIT: the median of a Go benchmark's metric.
bench() { awk -v n="$1" -v u="$2" '$1 ~ "^Benchmark" n "(-[0-9]+)?$" { for (i = 2; i < NF; i++) if ($(i + 1) == u) printf "%.0f\n", $i }' "$tmp/go" | median; }

# bench_us NAME, bench_ms NAME: the same of the time that one takes.
bench_us() { awk -v ns="$(bench "$1" ns/op)" 'BEGIN { if (ns != "") printf "%.1f\n", ns / 1e3 }'; }
bench_ms() { awk -v ns="$(bench "$1" ns/op)" 'BEGIN { if (ns != "") printf "%.0f\n", ns / 1e6 }'; }

# megabytes FILE: of KiB, one a line, the most.
megabytes() { sort -g "$1" | awk '{ n = $1 } END { if (n) printf "%.1f\n", n * 1024 / 1e6 }'; }

rss() { awk -v k="$1:" '$1 == k { printf "%.1f\n", $2 * 1024 / 1e6 }' "$tmp/rss"; }

# mostly_taken: 1 if nearly each call had its stack taken, 0 if the figure says nothing of stacks.
mostly_taken() { awk -v taken="$(taken)" -v asked="$(asked)" 'BEGIN { print (asked && taken >= 0.95 * asked) ? 1 : 0 }'; }

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
	limit "the same with a stack of 8 KiB taken at each mmap, CPU ratio ($(taken) of $(asked) taken)" "$(of stacks touch 3)" '<=' 1.45 "$(($(of stacks touch 8) * $(mostly_taken)))"
	limit "bystander's getpid, CPU ratio" "$(of bystander getpid 3)" '<=' 1.45 "$(of bystander getpid 8)"
	limit "consumer, events/s of one core, 16,384 areas" "$(bench Consumer/areas=16384 events/cpu-s)" '>=' 2000000
	limit "1 million areas, MB at the peak" "$(bench MillionAreas peak-MB)" '<=' 250
	limit "vmaleak's CPU µs for a JVM's stack of 44 frames, seen before" "$(cost_of same)" '<=' 40
	limit "vmaleak's CPU µs for a JVM's stack of 44 frames, new" "$(cost_of new)" '<=' 120
	limit "ms to read all tables of a JVM" "$(bench_ms Prepare)" '<=' 500
	limit "ms from the start of a trace until the calls of a JVM are followed" "$(start_of vmaleak)" '<=' 500
	limit "resident MB of a trace of an idle JVM after $rss_after s" "$(rss VmRSS)" '<=' 120
	limit "resident MB at the peak, under the Netty load" "$(megabytes "$tmp/netty.rss")" '<=' 120
	limit "resident MB at the peak, 2,000 stacks/s of a few different ones" "$(cost_peak same)" '<=' 120
	limit "size of the stripped binary, MB" "$(awk -v n="$(stat -c %s "$vmaleak")" 'BEGIN { printf "%.1f", n / 1e6 }')" '<=' 20
	limit "Netty, 400 messages/s: server CPU per message, ratio" "$(netty_ratios | median)" '<=' 1.05
	limit "Netty: messages lost" "$(lost_messages)" '<=' 0
}

# label TRACER: as the tables call it.
label() { if [ "$1" = stacks ]; then echo "vmaleak, a stack on each mmap"; else echo "$1"; fi; }

# table MODE...: a row for each tracer.
table() {
	local t m
	for t in vmaleak stacks bystander strace perf bpftrace; do
		[ -n "$(of "$t" pair 3)" ] || continue
		printf '| %s |' "$(label "$t")"
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

		\`vmaleak trace\` takes at most 4,000 stacks a second, which is few of the calls of such a program. In the row "a stack on each mmap" it has no such limit, and
		the program rests after each burst so that none is dropped: $(taken) of $(asked) mmaps had their stack taken. With 60 KiB of stack in use (64 KiB are copied at most),
		the mapping with its pages takes $(of stacks deep 4) ns instead of $(of stacks deep 5) ns: a ratio of $(of stacks deep 3) ($(of stacks deep 6)–$(of stacks deep 7)).

		In words: a thread that does nothing but map and unmap pays about $(awk -v a="$(of vmaleak pair 4)" -v b="$(untraced_ns pair)" 'BEGIN { printf "%.1f", (a - b) / 2000 }') µs a call;
		memory that is used costs so much more to fault in that the share shrinks to what the second column says. Calls that are not about
		memory pay the kernel's fixed price of having any system call tracepoint in use, about $(awk -v a="$(of bystander getpid 4)" -v b="$(untraced_ns getpid)" 'BEGIN { printf "%.0f", a - b }') ns, in **every process of the host** (the bystander's row), and no more.

		$(for t in vmaleak stacks bystander strace perf bpftrace; do printf '    %-10s %s\n' "$t" "$(command_of "$t")"; done)

		The program is \`test/bench/pair.c\`: \`pair --mode pair|touch|getpid|rw --wait\`, for touching with \`--stack 8192\` or \`61440\`.

		## A Netty server

		JDK $(java -version 2>&1 | awk -F'"' 'NR == 1 { print $2 }'), test/java/NettyLeak.java \`--no-leak\`, 400 messages of 4 KiB a second for $netty_seconds s, $netty_pairs pairs of loads traced and untraced, their order changing.

		| | server CPU µs a message | ratio |
		|---|---|---|
		| untraced | $(awk -v v="$u" 'BEGIN { printf "%.1f", v / 1000 }') | 1 |
		| vmaleak trace | $(awk -v v="$v" 'BEGIN { printf "%.1f", v / 1000 }') | $(netty_ratios | median) ($(netty_ratios | sort -g | sed -n '1p')–$(netty_ratios | sort -g | tail -n 1)) |
		| strace -f -e trace=brk,mmap,munmap (one run) | $(netty_column strace 3 | awk '{ printf "%.1f", $1 / 1000 }') | $(netty_column strace 3 | awk -v u="$u" '{ printf "%.2f", $1 / u }') |

		Median latency: untraced $(netty_column untraced 4 | median) µs, traced $(netty_column vmaleak 4 | median) µs, under strace $(netty_column strace 4) µs. Messages lost in all runs: $(lost_messages).
		In the traced loads $(awk '{ n += $1 } END { print n + 0 }' "$tmp/netty.stacks") stacks were taken and walked.
		To attach, reading the threads' names included, costs the server once $(netty_column attach 3 | median | awk '{ printf "%.0f", $1 / 1e6 }') ms of CPU.

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
		| resident, tracing the idle server, after $rss_after s | $(rss VmRSS) MB, $(rss VmHWM) MB at the peak |
		| resident at the peak, tracing the loaded server | $(megabytes "$tmp/netty.rss") MB |
		| all tables of a JVM, from nothing | $(bench_ms Prepare) ms |
		| from the start of a trace until its calls are followed | $(start_of vmaleak) ms, with \`--stacks=off\` $(start_of nostacks) ms: the kernel checks more programs; tables are read afterwards |
		| the binary | $(stat -c %s "$vmaleak") bytes |

		Resident memory counts the pages of the two rings twice, since they are mapped so. Per second of CPU time, not of the clock. In a space of a million areas each event misses the caches; no JVM has so many.

		    GOMAXPROCS=1 go test -run '^\$' -bench 'Consumer|MillionAreas' -count $count ./tracer

		## A stack

		| | CPU | resident at the peak | stacks |
		|---|---|---|---|
		| of a JVM, 44 frames, 8 different ones, 2,000 a second | $(cost_of same) µs | $(cost_peak same) MB | $(cost_stacks same) |
		| each one new, of known frames | $(cost_of new) µs | $(cost_peak new) MB | $(cost_stacks new) |
		| 8 different ones, 500 a second | $(cost_of seldom) µs | $(cost_peak seldom) MB | $(cost_stacks seldom) |
		| of a C program, 40 frames, known; the walk alone | $(bench_us Resolve/repeated) µs | | |
		| the same, new | $(bench_us Resolve/new) µs | | |

		The first three rows are what all of vmaleak spends, from the ring to the books: at 2,000 a second for $cost_seconds s, without what it spends on the same calls with \`--stacks=off\`,
		after as long a time in which it has met their frames. Stacks that come one by one each wake vmaleak, at most 1,024 times a second: that is the third row. Median of $costs runs on JDK $(java -version 2>&1 | awk -F'"' 'NR == 1 { print $2 }').

		    java -Xmx256m StackCost rate=2000 seconds=$cost_seconds different=8
		    java -Xmx256m StackCost rate=2000 seconds=$cost_seconds different=1000000000
		    java -Xmx256m StackCost rate=500 seconds=$cost_seconds different=8
		    $(command_of vmaleak) [--stacks=off]
		    VMALEAK_BENCH_JVM=PID go test -run '^\$' -bench 'Resolve|Prepare' -count $count ./symbolize/unwind

		$(cat "$tmp/malloc")

		## Noise

		CPU time is not wall time, but caches, sibling threads and the hypervisor are shared with whatever else runs: differences below 5 % mean nothing here,
		and the ranges above say how far single repeats lie apart. Another tracer on the host would make "untraced" dearer; run.sh waits for it to end, and leaves out of the ratios
what was disturbed, if anything else is left. Disturbed were:

		$(if [ -s "$tmp/disturbed" ]; then sort "$tmp/disturbed" | uniq -c | sed 's/^ *\([0-9]*\) \(.*\)/- \2 (\1 times)/'; else echo "- none."; fi)
	END
}
