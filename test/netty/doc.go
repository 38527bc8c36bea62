// Package netty holds the tests of the whole program on a real Netty server
// that leaks (test/java): its export against an strace log of the same run,
// and a control that does not leak.
//
// They need root, BPF, strace, libnetty-java, and JDK 17 and 25 beside the JDK
// that `java` is of. VMALEAK_BIN names the program (default bin/vmaleak of this
// repository, built if absent); VMALEAK_REQUIRE=all makes a skip a failure.
package netty
