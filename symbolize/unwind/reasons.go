package unwind

// Reasons why a stack is not complete. They are few and fixed, so that they can
// be counted.
const (
	reasonLimit     = "deeper than what is copied"
	reasonBeyond    = "stack memory beyond the copy could not be read"
	reasonAbsent    = "a page of the stack was not in memory"
	reasonGoroutine = "the goroutine's own stack was not copied"
	reasonDeep      = "more frames than are walked"
	reasonSlow      = "took too long"
	reasonLoop      = "the stack does not grow from frame to frame"
	reasonNoCode    = "a return address leads to no code"
	reasonNoTables  = "a library has no unwind tables"
	reasonBadTables = "a library's unwind tables could not be read"
	reasonNoRule    = "the unwind tables say nothing about a place"
	reasonFile      = "a library's file could not be read"
	reasonTables    = "the tables of too many libraries would have to be read"
	reasonGone      = "the process was gone before its frames could be read"
	reasonMaps      = "the process's maps could not be read"
	reasonGuessed   = "guessed past a library that has no unwind tables"
	reasonMusl      = "guessed past musl's libc: it has no unwind tables"
	reasonJIT       = "guessed by frame pointers through code that no file describes"
	reasonNoVM      = "the Java VM was still starting"
	reasonVM        = "a Java frame could not be read"
	reasonInHeap    = "callers in heap" // of a virtual thread, which has returned to some of them since
	reasonNoCopy    = "nothing of the stack was copied"
)
