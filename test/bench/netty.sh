# shellcheck shell=bash disable=SC2154 # tmp is run.sh's, tracer is lib.sh's
# Part of run.sh: a Netty server under a fixed load, and the memory of a trace of it when idle.

flags=(-Dio.netty.tryReflectionSetAccessible=true --add-opens java.base/java.nio=ALL-UNNAMED)

# begin_server: the server that does not leak; sets server and port.
begin_server() {
	local jars
	jars=$(printf '%s:' /usr/share/java/netty-*.jar)
	javac -d "$tmp/classes" -cp "$jars" test/java/NettyLeak.java test/java/NettyLoad.java || return 1
	java "${flags[@]}" -cp "$tmp/classes:$jars" NettyLeak --no-leak --stats-every 3600 >"$tmp/server.out" 2>&1 &
	server=$!
	background+=("$server")
	until_true 60 grep -q '^ready ' "$tmp/server.out" || return 1
	port=$(sed -n 's/^ready //p' "$tmp/server.out")
}

# load SECONDS [RATE]: sends 400 messages a second, and prints the server's CPU ns for one, and the median latency.
load() {
	local before after line
	before=$(cpu "$server")
	line=$(java -cp "$tmp/classes" NettyLoad --port "$port" --rate "${2:-400}" --seconds "$1") || say "netty: $line"
	after=$(cpu "$server")
	echo "$line" >>"$tmp/loads"
	awk -v ns=$((after - before)) '{ print ns / $4, $10 }' <<<"$line"
}

# idle_rss SECONDS: KiB resident of a trace of the idle server.
idle_rss() {
	attach vmaleak "$server" || return 1
	sleep "$1"
	awk '/^VmRSS|^VmHWM/ { print $1, $2 }' "/proc/$tracer/status" >"$tmp/rss"
	detach
}

# netty PAIRS SECONDS WARMUP: each pair is one load untraced and one traced, the order changing.
netty() {
	local i which before
	: >"$tmp/loads"
	: >"$tmp/netty"
	: >"$tmp/netty.rss"
	: >"$tmp/netty.stacks"
	load "$3" 3000 >/dev/null # for the compiler; then the pace that is measured
	load 3 >/dev/null
	: >"$tmp/loads"
	for i in $(seq "$1"); do
		say "netty: pair $i of $1, load $(cut -d' ' -f1 /proc/loadavg)"
		for which in $([ $((i % 2)) = 1 ] && echo untraced vmaleak || echo vmaleak untraced); do
			await_alone || echo "Netty $which: other tracers ran" >>"$tmp/disturbed"
			if [ "$which" = untraced ]; then
				echo "untraced $i $(load "$2")" >>"$tmp/netty"
				alone || echo "Netty $which: other tracers ran" >>"$tmp/disturbed"
				continue
			fi
			before=$(cpu "$server")
			attach vmaleak "$server" || return 1
			sleep 1 # the first thread dump
			echo "attach $i $(($(cpu "$server") - before)) 0" >>"$tmp/netty"
			echo "vmaleak $i $(load "$2")" >>"$tmp/netty"
			awk '/^VmHWM/ { print $2 }' "/proc/$tracer/status" >>"$tmp/netty.rss"
			detach
			stacks_taken >>"$tmp/netty.stacks"
			if [ "$(lost)" != 0 ]; then echo "Netty: lost $(lost) events" >>"$tmp/disturbed"; fi
		done
	done
	say "netty: strace"
	attach strace "$server" && echo "strace 1 $(load "$2")" >>"$tmp/netty"
	detach
}

# netty_column TRACER COLUMN: of $tmp/netty, one a line.
netty_column() { awk -v t="$1" -v c="$2" '$1 == t { print $c }' "$tmp/netty"; }

# netty_ratios: traced to untraced, a pair a line.
netty_ratios() { awk '$1 == "untraced" { u[$2] = $3 } $1 == "vmaleak" { v[$2] = $3 } END { for (i in u) printf "%.3f\n", v[i] / u[i] }' "$tmp/netty"; }
