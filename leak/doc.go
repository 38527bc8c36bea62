// Package leak keeps the books of anonymous memory: who acquired it, who let
// it go, and what grows. A Ledger holds one Space for each address space; what
// it knows at one instant is a Snapshot, the document of the export.
//
// The package is pure: no I/O, no clock, no goroutine. Time comes in as an
// argument. The rows themselves live in vma.Space: a Space of this package
// adds accounts (bounded in number) and time series (bounded in length), and
// nothing per row.
//
// A stack is walked while its event is booked already: the event carries a
// ticket, and Ledger.Resolve tells its number later, or earlier (tickets.go).
// What a carrier thread maps for a virtual thread has books of its own
// (carried.go).
//
// Words: reserved is PROT_NONE, committed the rest, mapped both; outstanding
// is acquired under trace and not yet released. Growth counts committed bytes.
package leak
