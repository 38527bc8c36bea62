// Package heapdump finds, in a heap dump of a JVM (HPROF 1.0.1 and 1.0.2), the Java objects that stand for native memory:
// those with an address in given ranges, and who keeps them alive.
//
// The dump is read by streaming, in four passes, and never held in memory. What is held is the graph of the objects that can
// lead anywhere: an index, a parent and the references, some 25 bytes for an object and 4 for a reference. Arrays of
// primitives, strings and boxes are left out, since no path leads through them.
//
// The file is untrusted. Its lengths, ids and counts may lie: every table is bounded ([Limits]), every length is checked
// against what is left of its segment, and a dump that is cut or does not parse is an error, since from a part of a heap
// nothing can be proven absent.
//
// What counts as holding. A path from a GC root over strong references. Not an owner are: the referents of weak, soft, phantom and final
// references; the pool that the memory belongs to, which refers to all of its chunks for ever; and the list of cleaners that the JVM
// keeps to free memory when its buffer is gone. An object that only these lead to has no owner ([State]).
package heapdump
