package jvm

import "time"

// Dump is one thread dump. Nothing changes it once it is returned.
type Dump struct {
	JVM     string    // "OpenJDK 64-Bit Server VM (17.0.15+6-Debian-1deb12u1 mixed mode, sharing)", "" if the dump does not say
	Time    time.Time // what the JVM's clock on the wall said; its zone is not known and UTC stands for it. Zero if the dump does not say
	Threads []Thread  // in the order of the dump
	Took    time.Duration
	Bytes   int // length of the text
	Bad     int // lines that look like headers but could not be parsed
}

// Thread is one thread of a dump. Frames has the innermost first, a carried virtual thread's before its carrier's, and at
// most 1024.
type Thread struct {
	Name    string   // as Java has it: may be empty, may hold quotes and newlines. Valid UTF-8
	NID     int      // OS thread id in the JVM's own pid namespace, 0 unknown
	JavaID  int64    // the number behind #, 0 for GC and VM threads
	Daemon  bool     // a Java daemon thread
	State   string   // "TIMED_WAITING (sleeping)"; of a thread without a Java state the header's words: "runnable"
	Virtual int64    // number of the virtual thread that this one carries, 0 none
	Frames  []string // "io.netty.util.Recycler.get(Recycler.java:148)"

	ptr   uint64 // address of the JVM's Thread object
	rival bool   // another header names the same Thread object, and the text alone cannot tell which one is true
}

// ByNID returns the threads by their OS thread id, in the JVM's own pid namespace.
//
// valid says whether such a thread lives, by the last NSpid of /proc/PID/task/T/status; nil believes every number.
// A thread's name may hold a forged header with the number of another thread. Headers of dead or unknown
// numbers are therefore left out, and of two headers with one number the one that is not in doubt is taken. If that
// does not decide either, the number is left out: the kernel's own name of the thread is better than a guess.
func (d *Dump) ByNID(valid func(nid int) bool) map[int]*Thread {
	sure, doubtful := map[int][]*Thread{}, map[int][]*Thread{}
	for i := range d.Threads {
		t := &d.Threads[i]
		switch {
		case t.NID <= 0 || valid != nil && !valid(t.NID):
		case t.rival:
			doubtful[t.NID] = append(doubtful[t.NID], t)
		default:
			sure[t.NID] = append(sure[t.NID], t)
		}
	}
	threads := make(map[int]*Thread, len(sure))
	for nid, claims := range sure {
		if len(claims) == 1 {
			threads[nid] = claims[0]
		}
	}
	// Of the rivals for one Thread object, those are left whose number no other header claims; if one is left it is the true one.
	left := map[uint64][]*Thread{}
	for nid, claims := range doubtful {
		if len(claims) == 1 && len(sure[nid]) == 0 {
			left[claims[0].ptr] = append(left[claims[0].ptr], claims[0])
		}
	}
	for _, claims := range left {
		if len(claims) == 1 {
			threads[claims[0].NID] = claims[0]
		}
	}
	return threads
}
