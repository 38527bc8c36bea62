// Package exact holds the tests that the ledger equals the kernel: they run
// test/stress under `vmaleak trace`, and at each of its quiet points compare
// the export, byte by byte, with /proc/PID/maps.
//
// They need root, BPF and gcc. VMALEAK_BIN names the program (default
// bin/vmaleak of this repository, built if absent), VMALEAK_REQUIRE=all makes
// a skip a failure, VMALEAK_SOAK=1 asks for the full sizes, and
// VMALEAK_TEST_SEED repeats a run: the seed is in the log of every test.
package exact
