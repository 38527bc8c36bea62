// Package report renders snapshots: each presenter is a function of a writer
// and one immutable leak.Snapshot. None fetches anything, none changes the
// snapshot, and equal snapshots give equal bytes.
package report
