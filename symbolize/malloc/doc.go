// Package malloc reads from outside what glibc's malloc of a running process holds free: bytes that a program has
// freed and that are nevertheless part of its memory. Nothing is stopped, written, or asked of the process, and of its
// memory only pages are read that are resident: nothing is faulted or swapped in.
//
// The structures, the same in glibc 2.26 to 2.43 on 64-bit machines but for the first part of an arena:
//
//	arena     [mutex, flags, fast lists] top, last remainder, 127 bins, bin map, next arena, …, bytes from the system
//	bin       head of a circular list of free blocks: a pair (next, previous)
//	block     size of the block before it, own size and three flags, and, if free, next and previous of its list
//	heap      64 MiB of addresses, aligned to as much: arena, previous heap of it, size, writable size
//
// The main arena is a variable of libc whose memory is that of brk; all others lie in the first of their heaps. Arenas form
// a circle. No version is asked for and no symbol is needed: an empty bin points at itself, which finds the
// bins in libc's data, and what lies before them follows from the circle's coming back to the same arena. What does not fit is
// an error, never a guess.
//
// Of the free bytes malloc_trim(3) gives back those whole pages that lie inside of blocks in bins, and the main arena's top.
// It first merges the fast lists' blocks with free neighbours. The top of every other arena stays: it only shrinks in a
// free(3) that makes it larger than the trim threshold. The caches of threads (tcache) hold blocks that count as used.
//
// The process runs on while its lists are read. Each step of a walk is checked against the one before (of a list's
// next block the previous one must be this); where that fails the walk goes back. What cannot be read in time, or is
// not resident, is said of its arena: its figures are then a lower bound.
package malloc
