#!/usr/bin/env bash
# run.sh PACKAGE...: go test, shown in short; the last line is "N passed, N failed, N skipped".
# Every skip is shown with its reason. With VMALEAK_REQUIRE=all a skip of what must run is a failure.
set -uo pipefail
log=$(mktemp "${TMPDIR:-/tmp}/vmaleak-test.XXXXXX")
trap 'rm -f "$log"' EXIT
go test -v -count=1 -timeout "${SOAK_TIMEOUT:-12m}" -p 1 "$@" >"$log" 2>&1
rc=$?
awk '
	/^=== (RUN|PAUSE|CONT|NAME)/ { next }
	/^ *--- PASS/ { pass++; next }
	/^ *--- SKIP/ { skip++; show = 1 }
	/^ *--- FAIL/ { fail++; show = 1 }
	/^(ok|FAIL|panic|---|\?)/ || show || /: (undefined|cannot|syntax)/ { print; if (/^ +/) next; show = 0 }
	END { printf "%d %d %d\n", pass, fail, skip > "/dev/stderr" }
' "$log" 2>"$log.sum"
read -r pass fail skip <"$log.sum"
if [ "$rc" -ne 0 ]; then
	echo "--- the end of the full log ---"
	# What each failed test said; RUN, NAME and CONT lines tell whose the lines after them are.
	awk '/^=== (RUN|NAME|CONT)/ { name = $3; next }
		/^ *--- FAIL/ { print; printf "%s", said[$3]; next }
		/^(panic|FAIL|fatal error)/ { print; next }
		/^(=== | *--- )/ { next }
		{ said[name] = said[name] $0 "\n" }' "$log" | tail -n 200
	[ "$fail" -gt 0 ] || fail=1
fi
grep -hE -A3 '^ *--- SKIP' "$log" | grep -vE '^--$|^=== ' | sed 's/^/skipped: /' | head -60
rm -f "$log.sum"
echo "$pass passed, $fail failed, $skip skipped"
[ "$rc" -eq 0 ]
