#!/usr/bin/env bash
# fuzz.sh TIME: runs each fuzz target of the project for TIME. Inputs are hardly made
# smaller: files take longer for that than for all the rest.
set -euo pipefail
grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do
	sed -nE 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/p' "$file" | while read -r target; do
		echo "== $target in $(dirname "$file")"
		go test "$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x
	done
done
