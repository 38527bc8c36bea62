# shellcheck shell=bash disable=SC2154 # tmp, vmaleak, idle and patience are run.sh's
# Helpers of run.sh: tracers that come and go, and whether others disturb the measuring.

say() { printf '%s\n' "$*" >&2; }

# median: of numbers, one a line.
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) printf "%.9g\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# until_true SECONDS COMMAND...: polls; fails when it takes longer.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# foreign: PIDs of other tracers. Their programs cost every process of the host
# something, so that nothing would be untraced.
foreign() {
	find /proc/[0-9]*/fd -maxdepth 1 \( -lname 'anon_inode:*perf_event*' -o -lname 'anon_inode:bpf_link' \) 2>/dev/null |
		cut -d/ -f3 | sort -u | grep -vxF -e "${tracer:-none}" -e 1
}
alone() { [ -z "$(foreign)" ]; }

# await_alone: waits for other tracers to end, for as long as is left of $patience.
await_alone() {
	local from=$SECONDS
	[ "$patience" -le 0 ] || until_true "$patience" alone
	patience=$((patience - SECONDS + from))
	alone
}

# The commands that are compared; PIDS is a list with commas.
command_of() {
	case $1 in
	vmaleak) echo "vmaleak trace -p PIDS --no-save --no-tui --json FILE" ;;
	stacks) echo "vmaleak trace -p PIDS --no-save --no-tui --json FILE --stack-rate 10000000" ;;
	bystander) echo "vmaleak trace -p ANOTHER --no-save --no-tui --json FILE" ;;
	strace) echo "strace -f -e trace=brk,mmap,munmap -o FILE -p PIDS" ;;
	perf) echo "perf trace -e brk,mmap,munmap -o FILE -p PIDS" ;;
	bpftrace) echo "bpftrace -o FILE -e '$(bpftrace_program PID)'" ;;
	esac
}

# bpftrace_program PIDS: a line for each call.
bpftrace_program() {
	local filter
	filter="/pid == ${1//,/ || pid == }/"
	printf '%s' "tracepoint:syscalls:sys_exit_mmap $filter { printf(\"%d mmap %lx\\n\", tid, args->ret); } "
	printf '%s' "tracepoint:syscalls:sys_enter_munmap $filter { printf(\"%d munmap %lx %d\\n\", tid, args->addr, args->len); }"
}

holds_events() { [ "$(find "/proc/$tracer/fd" -lname 'anon_inode:*perf_event*' 2>/dev/null | wc -l)" -ge 2 ]; }

# attach TRACER PIDS: returns when it traces; sets tracer.
attach() {
	local pids=$2 more
	rm -f "$tmp"/ready "$tmp"/export.json
	case $1 in
	vmaleak | nostacks | stacks | bystander)
		more=()
		case $1 in
		bystander) pids=$idle ;;
		stacks) more=(--stack-rate 10000000) ;;
		nostacks) more=(--stacks=off) ;;
		esac
		"$vmaleak" trace -p "$pids" --no-save --no-tui --json "$tmp/export.json" --ready-file "$tmp/ready" "${more[@]}" >"$tmp/out" 2>&1 &
		tracer=$!
		until_true 30 test -e "$tmp/ready"
		;;
	strace)
		strace -f -e trace=brk,mmap,munmap -o "$tmp/log" -p "$pids" >"$tmp/out" 2>&1 &
		tracer=$!
		until_true 30 all_under_strace "$pids"
		;;
	perf)
		perf trace -e brk,mmap,munmap -o "$tmp/log" -p "$pids" >"$tmp/out" 2>&1 &
		tracer=$!
		until_true 30 holds_events && sleep 1
		;;
	bpftrace)
		bpftrace -o "$tmp/log" -e "$(bpftrace_program "$pids")" >"$tmp/out" 2>&1 &
		tracer=$!
		until_true 30 holds_events && sleep 1
		;;
	esac && kill -0 "$tracer" 2>/dev/null
}
all_under_strace() {
	local pid status
	for pid in ${1//,/ }; do
		for status in /proc/"$pid"/task/*/status; do
			grep -q "^TracerPid:[[:space:]]*$tracer\$" "$status" 2>/dev/null || return 1
		done
	done
}

# detach: ends the tracer that attach began.
detach() {
	kill -INT "$tracer" 2>/dev/null
	wait "$tracer" 2>/dev/null
	tracer=
	rm -f "$tmp/log"
}

# cpu PID: ns of all its threads, of those that have not ended.
cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ s += $1 } END { printf "%.0f\n", s }'; }

# stacks_of STATUS: of the last vmaleak's stacks, of all processes.
stacks_of() { grep -o '"stacks":{"complete"[^}]*' "$tmp/export.json" | head -n 1 | grep -o "\"$1\":[0-9]*" | grep -o '[0-9]*$'; }
stacks_taken() { echo $(($(stacks_of complete) + $(stacks_of continued) + $(stacks_of truncated) + $(stacks_of failed))); }

# lost: events that the last vmaleak lost.
lost() { grep -o '"lost": *[0-9]*' "$tmp/export.json" | head -n 1 | grep -o '[0-9]*$'; }
