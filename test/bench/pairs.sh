# shellcheck shell=bash disable=SC2154 # tmp and scale are run.sh's
# Part of run.sh: what one operation of test/bench/pair costs under each tracer.

modes=(pair touch deep getpid rw)

# pair_args MODE: touch has as much of its stack in use as a busy Java thread, deep about as much as is copied at most.
pair_args() {
	case $1 in
	touch) echo "--mode touch --stack 8192" ;;
	deep) echo "--mode touch --stack 61440" ;;
	*) echo "--mode $1" ;;
	esac
}

# begin_pairs: one process for each mode, which waits for a line to begin a round.
begin_pairs() {
	local m line fd
	pair_pids=
	for m in "${modes[@]}"; do
		mkfifo "$tmp/$m.in" "$tmp/$m.out"
		# shellcheck disable=SC2046 # several words
		"$tmp/pair" $(pair_args "$m") --rounds 1000000 --wait <"$tmp/$m.in" >"$tmp/$m.out" &
		background+=($!)
		exec {fd}>"$tmp/$m.in"
		in[$m]=$fd
		exec {fd}<"$tmp/$m.out"
		out[$m]=$fd
		read -r line <&"${out[$m]}"
		pair_pids+=${pair_pids:+,}${line##* }
	done
}

# operations TRACER MODE: of one round, for a quarter of a second.
operations() {
	local n
	case $1 in
	strace) n="pair 2500 touch 1500 deep 1500 getpid 4000 rw 2000" ;;
	perf | bpftrace) n="pair 15000 touch 5000 deep 5000 getpid 500000 rw 200000" ;;
	*) n="pair 60000 touch 10000 deep 10000 getpid 1500000 rw 600000" ;;
	esac
	n=${n##*"$2" }
	echo $((${n%% *} / scale))
}

# burst MODE: how many operations in a row can all have their stack taken: the ring and
# the queue behind it hold so many. 0 for what maps nothing.
burst() {
	case $1 in
	pair | touch) echo 400 ;;
	deep) echo 60 ;;
	*) echo 0 ;;
	esac
}

# operate MODE N: CPU ns and wall ns of an operation, of N.
operate() {
	local line
	echo "$2" >&"${in[$1]}"
	read -r -a line <&"${out[$1]}"
	echo "${line[6]} ${line[4]}"
}

# round TRACER MODE: CPU ns and wall ns of an operation. Where each call is to have its
# stack taken, it is the medians of several bursts, with time between to walk what was taken.
round() {
	local n left
	n=$(burst "$2")
	if [ "$1" != stacks ] || [ "$n" = 0 ]; then
		operate "$2" "$(operations "$1" "$2")"
		return
	fi
	for ((left = bursts; left > 0; left--)); do
		sleep 0.1
		operate "$2" "$n"
		echo "$n" >>"$tmp/asked"
	done >"$tmp/bursts"
	echo "$(cut -d' ' -f1 "$tmp/bursts" | median) $(cut -d' ' -f2 "$tmp/bursts" | median)"
}

# measure TRACER REPEAT: ns of an operation in each mode, the medians of three rounds, into $tmp/raw:
# the CPU time of mode pair as pair, by the clock as pair.wall, then clean, or disturbed if other
# tracers ran for longer than $patience. A round before them does not count: strace takes hold of a
# thread at its first stop.
measure() {
	local m ns good try how
	for m in "${modes[@]}"; do
		case $m,$1 in deep,untraced | deep,stacks) ;; deep,*) continue ;; esac
		round "$1" "$m" >/dev/null
		good=() try=0 how=clean
		while [ ${#good[@]} -lt 3 ]; do
			try=$((try + 1))
			await_alone
			ns=$(round "$1" "$m")
			if alone; then
				good+=("$ns")
			elif [ "$try" -gt 20 ] || [ "$patience" -le 0 ]; then
				good+=("$ns") how=disturbed
			fi
		done
		echo "$1 $2 $m $(printf '%s\n' "${good[@]% *}" | median) $how" >>"$tmp/raw"
		echo "$1 $2 $m.wall $(printf '%s\n' "${good[@]#* }" | median) $how" >>"$tmp/raw"
		[ $how = clean ] || echo "$1 $m: other tracers ran" >>"$tmp/disturbed"
	done
}

# asked and taken: how many operations were to have their stack taken, and how many had.
asked() { awk '{ n += $1 } END { print n + 0 }' "$tmp/asked"; }
taken() { awk '{ n += $1 } END { print n + 0 }' "$tmp/taken"; }

# measure_traced TRACER REPEAT
measure_traced() {
	if ! attach "$1" "$pair_pids"; then
		say "$1 does not run here: $(head -n 1 "$tmp/out")"
		echo "$1: $(head -n 1 "$tmp/out")" >>"$tmp/absent"
		detach
		return 1
	fi
	measure "$1" "$2"
	detach
	case $1 in vmaleak | bystander | stacks) grep -q '"mode": *"lock-sequence"' "$tmp/export.json" || echo "$1: another back end than lock-sequence was used" >>"$tmp/disturbed" ;; esac
	case $1 in vmaleak | stacks) [ "$(lost)" = 0 ] || echo "$1, repeat $2: lost $(lost) events" >>"$tmp/disturbed" ;; esac
	if [ "$1" = stacks ]; then stacks_taken >>"$tmp/taken"; fi
}

# pairs REPEATS: untraced before and after each tracer, in turn.
pairs() {
	local repeat t present=()
	declare -gA in out
	: >"$tmp/raw"
	: >"$tmp/asked"
	: >"$tmp/taken"
	begin_pairs
	for t in vmaleak stacks bystander strace perf bpftrace; do
		case $t in
		vmaleak | stacks | bystander) present+=("$t") ;;
		*) if command -v "$t" >/dev/null; then present+=("$t"); else echo "$t: not installed" >>"$tmp/absent"; fi ;;
		esac
	done
	for repeat in $(seq "$1"); do
		say "pairs: repeat $repeat of $1, load $(cut -d' ' -f1 /proc/loadavg)"
		measure untraced "$repeat"
		for t in "${present[@]}"; do
			grep -q "^$t:" "$tmp/absent" && continue
			measure_traced "$t" "$repeat" && measure untraced "$repeat"
		done
	done
}

# ratios: "TRACER MODE RATIO NS UNTRACED_NS LEAST MOST CLEAN", medians over the repeats; each
# repeat against the mean of the untraced rounds before and after it. Only clean repeats count,
# and CLEAN says how many there were; where it is 0, all of them do.
ratios() {
	awk '
	function median(list, n,    i, v, t, j) {
		n = split(list, v, " ")
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		least = v[1]; most = v[n]
		return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
	}
	function note(how, k, ns, plain) {
		ratio[how, k] = ratio[how, k] " " ns / plain
		cost[how, k] = cost[how, k] " " ns
		base[how, k] = base[how, k] " " plain
		count[how, k]++
	}
	$1 == "untraced" {
		if ($3 in open) {
			k = open[$3]
			delete open[$3]
			names[k]
			note("all", k, ns[$3], (before[$3] + $4) / 2)
			if (clean[$3] && last[$3] && $5 == "clean")
				note("clean", k, ns[$3], (before[$3] + $4) / 2)
		}
		before[$3] = $4; last[$3] = $5 == "clean"
		next
	}
	{ open[$3] = $1 " " $3; ns[$3] = $4; clean[$3] = $5 == "clean" }
	END {
		for (k in names) {
			how = count["clean", k] ? "clean" : "all"
			c = median(cost[how, k]); p = median(base[how, k]); r = median(ratio[how, k])
			printf "%s %.3f %.0f %.0f %.3f %.3f %d\n", k, r, c, p, least, most, count["clean", k]
		}
	}' "$tmp/raw" | sort
}
