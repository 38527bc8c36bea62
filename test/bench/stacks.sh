# shellcheck shell=bash disable=SC2154 # tmp is run.sh's, tracer is lib.sh's
# Part of run.sh: what vmaleak itself spends on stacks of a JVM, and how soon it is ready for them.

# cost_java ARGS...: a StackCost that has warmed up; sets target, and go to the way to talk to it.
cost_java() {
	rm -f "$tmp/cost.in"
	mkfifo "$tmp/cost.in"
	java -Xmx256m -cp "$tmp/classes" StackCost "$@" <"$tmp/cost.in" >"$tmp/cost.out" &
	target=$!
	background+=("$target")
	exec {go}>"$tmp/cost.in"
	until_true 60 grep -q '^ready' "$tmp/cost.out"
}

# maps TIME: lets it map.
maps() {
	echo >&"$go"
	until_true 120 lines_are "$1" '^end' "$tmp/cost.out"
}
lines_are() { [ "$(grep -c "$2" "$3")" -ge "$1" ]; }

# cost NAME TRACER ARGS...: lets a StackCost map memory under vmaleak, and adds to $tmp/cost
# "NAME TRACER CALLS CPU_NS STACKS PEAK_KIB": the second time that it maps, what vmaleak spent
# until it had nothing left to do, and its memory. At the first time it meets the frames.
cost() {
	local name=$1 with=$2 before after peak
	shift 2
	await_alone
	cost_java "$@" && attach "$with" "$target" || return 1
	sleep 2 # the tables
	maps 1 && sleep 5 && before=$(cpu "$tracer") && maps 2 && sleep 1 && after=$(cpu "$tracer") || return 1
	peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$tracer/status")
	alone || echo "stacks, $name: other tracers ran" >>"$tmp/disturbed"
	detach
	exec {go}>&-
	wait "$target"
	echo "$name $with $(awk '/^end/ { print $2; exit }' "$tmp/cost.out") $((after - before)) $(($(stacks_taken) / 2)) $peak" >>"$tmp/cost"
}

# costs SECONDS REPEATS: of stacks that repeat, of stacks that are new each time, and of stacks
# that come so seldom that each wakes vmaleak by itself.
costs() {
	local i
	: >"$tmp/cost"
	javac -nowarn -d "$tmp/classes" test/java/StackCost.java 2>"$tmp/javac" || { cat "$tmp/javac" >&2; return 1; }
	for i in $(seq "$2"); do
		say "stacks: repeat $i of $2, load $(cut -d' ' -f1 /proc/loadavg)"
		cost same nostacks rate=2000 seconds="$1" different=8 &&
			cost same vmaleak rate=2000 seconds="$1" different=8 &&
			cost new vmaleak rate=2000 seconds="$1" different=1000000000 &&
			cost seldom nostacks rate=500 seconds="$1" different=8 &&
			cost seldom vmaleak rate=500 seconds="$1" different=8 || return 1
	done
}

# cost_of same|new|seldom: µs of CPU for a stack, beyond what the call itself takes: the median of the repeats.
cost_of() {
	awk -v name="$1" '
		$2 == "nostacks" { plain = $4 / $3 } # of the rate of what follows
		$1 == name && $2 == "vmaleak" && $5 { printf "%.1f\n", ($4 - plain * $3) / $5 / 1000 }' "$tmp/cost" | median
}

# cost_peak same|new|seldom: MB resident at most.
cost_peak() { awk -v name="$1" '$1 == name && $2 == "vmaleak" { printf "%.1f\n", $6 * 1024 / 1e6 }' "$tmp/cost" | median; }

# cost_stacks: how many of the calls have a stack that was walked.
cost_stacks() { awk -v name="$1" '$1 == name && $2 == "vmaleak" { n += $3; s += $5 } END { printf "%d of %d", s, n }' "$tmp/cost"; }

# starts TIMES: ms from the beginning of a trace of the server until its calls are followed, with stacks and without.
starts() {
	local i with from
	: >"$tmp/starts"
	for i in $(seq "$1"); do
		for with in vmaleak nostacks; do
			from=$(date +%s%N)
			attach "$with" "$server" || return 1
			echo "$with $(($(date -r "$tmp/ready" +%s%N) - from))" >>"$tmp/starts"
			sleep 1
			detach
		done
	done
}

# start_of TRACER: ms.
start_of() { awk -v t="$1" '$1 == t { printf "%.1f\n", $2 / 1e6 }' "$tmp/starts" | median; }

# prepare: the Go benchmarks of reading a JVM's tables, and of walking.
prepare() {
	go test -c -o "$tmp/unwind.test" ./symbolize/unwind || return 1
	(cd symbolize/unwind && VMALEAK_BENCH_JVM=$server "$tmp/unwind.test" -test.run '^$' -test.bench 'Resolve|Prepare' \
		-test.benchtime "$benchtime" -test.count "$count") >>"$tmp/go"
}
