// Package jvm asks a running HotSpot JVM who its threads are.
//
// It speaks the attach protocol itself, so neither jstack nor jcmd need be installed, and reads the thread dumps
// that they print, of JDK 8 to 25.
//
// Two things are held above all. The JVM must not be harmed: everything that could make it print, stop or die is
// checked before the one signal is sent (see [Dial]). And nothing that the JVM arranges is trusted: neither the paths below
// /proc/PID/root, nor the socket found there, nor the text that comes back; a thread may bear any name, even one
// that looks like the header of another thread (see [ParseDump] and [Dump.ByNID]).
//
// Note: the dump is asked for without -l. With it HotSpot walks the whole Java heap inside the safepoint to list
// java.util.concurrent locks (ConcurrentLocksDump::dump_at_safepoint), which stops the application for a time that
// grows with its heap, and the locks are of no use here.
package jvm
