package tracer

// callStandIns calls the stand-ins for malloc and free n times, in the way of C.
//
//go:noescape
func callStandIns(n, size uint64)

// standIns is where they are: assembly that C's malloc and free begin like.
func standIns() (malloc, free uint64)
