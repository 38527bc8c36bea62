// Package retained bloats JVMs by a spike of native memory that is over before
// anybody looks, and holds what is found against what a trim then gives back:
// it is retention, not a leak, and as much as was foretold.
//
//	go test ./test/retained                   one JVM of each kind
//	VMALEAK_SOAK=1 go test ./test/retained    ten
package retained
