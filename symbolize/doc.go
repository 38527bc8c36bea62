// Package symbolize answers who: which process this is, which of a host's
// processes a selector means, and what a thread is called.
//
// Its facts come from /proc and from the JVM's own thread dump (package jvm).
// Everything below /proc/PID is the target's to arrange: reads are bounded in
// size, text is made valid UTF-8, and a path below /proc/PID/root is resolved
// with openat2(RESOLVE_IN_ROOT) so that it cannot lead out of it. Control
// characters stay in names; who prints them must quote them.
//
// The package starts no goroutine and keeps no package-level state.
package symbolize
