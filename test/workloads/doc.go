// Package workloads judges the judge: programs that leak in known ways, each
// with a control that does the same work and leaks nothing, are traced, and
// what the export says is held against the truth that they print.
//
//	make test-workloads      all of them, and docs/VERDICTS.md
//	go test ./test/workloads a few
package workloads
