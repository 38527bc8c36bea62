// Package vma models one address space as the kernel keeps it, and remembers
// who acquired each byte of its private anonymous memory.
//
// A Space is a set of areas, disjoint and in order of address. Apply changes
// it as one system call changed the kernel's, given the calls in the order in
// which they took the mmap lock. The package is pure: no clock, no I/O, no
// goroutine. Changes by other means than these calls (see "Not modelled") are
// found by comparing with /proc/PID/maps: ParseMaps, Diff, Reconcile.
//
// # Areas
//
// Every mapping has a row, since a hole and a file differ for mremap:
//
//	Anon    private anonymous: MAP_ANONYMOUS without MAP_HUGETLB, of type
//	        MAP_PRIVATE or MAP_DROPPABLE; what mremap added to such memory
//	Heap    grown by brk, or named [heap] at the start
//	Stack   the main thread's stack
//	Opaque  everything else: files, /dev/zero (private too), shared memory,
//	        huge pages, [vdso] and the like
//
// Exported are Anon and Heap, and of Stack what /proc does not name [stack]:
// the kernel names the one area that holds mm->start_stack, and mprotect of a
// part makes the rest nameless. This equals the rows of /proc/PID/maps with
// inode 0 and no name, or named [heap] or [anon…].
//
// # Owners and rows
//
//	call                                     rows
//	mmap                                     new row, the caller's; bytes below it leave their rows
//	munmap, mmap or mprotect of a part       the remainders keep thread, stack, op, time and call
//	mremap                                   moved bytes keep their owner; bytes beyond old_len: new
//	                                         row, op mremap, the caller's
//	brk growth                               new row, op brk, the caller's
//	mprotect of PROT_NONE to anything else   those bytes: new row, op mprotect, the caller's; the
//	                                         owner before has released them
//	mprotect else                            the protection only; to PROT_NONE: Decommitted
//	fork                                     the child's rows: inherited, thread and stack stay
//	seed, heal                               origin only
//
// Rows of different calls are never merged, with one exception: adjacent brk
// or mprotect rows of equal thread, stack and protection; rows whose stacks are
// different tickets become one only when Restack tells that they agree. Of such a row, Call
// and At are the earliest call's, Calls and Acquired the sums; where two
// pieces of one merged row meet again, the larger count stands. The Released
// pieces of a merged row carry the merged owner: Thread, Stack and Op agree
// with what was acquired, Call, Calls and Acquired do not. Whoever keeps
// accounts of brk and mprotect must key them by the former. Pieces of one call
// become one row again when they adjoin with equal protection.
//
// For each owner, acquired minus released bytes of a Delta is the change of
// its coverage; committed bytes change by acquired minus released minus
// decommitted ones.
//
// # Calls
//
// Lengths are rounded up to pages. Pointer tags are taken off addresses.
//
//	mmap          ret, len: whatever was there goes, with and without MAP_FIXED (without
//	              it nothing is there). MAP_ANONYMOUS|MAP_HUGETLB is rounded up to the
//	              huge page. MAP_FIXED_NOREPLACE is a hole or a failure
//	munmap        any number of areas, parts of them, and holes
//	brk           from the old break to the new one, page by page; equal: it failed
//	mprotect      PROT_READ, WRITE and EXEC; holes are a failure, see below. With
//	              PROT_GROWSDOWN or PROT_GROWSUP the kernel goes on to the area's edge:
//	              everything is dirty
//	shmat         opaque; length 0 is unknown: one page, and dirty
//	shmdt         every piece of the segment that still lies where it would in the
//	              segment attached at addr, wherever the first page is; not what lies
//	              beyond the segment's end. The length is unknown: dirty
//	remap_file_pages  changes no coverage; dirty where shmdt would look at the offset
//	fork          Fork
//	exec, exit    the caller begins a new Space
//
// mremap:
//
//	new < old                       the tail is unmapped, then the rest may move
//	new > old, in place             the new bytes behind the area
//	moved                           [ret, ret+new) is unmapped, the areas move
//	MREMAP_FIXED over several areas (6.17) each moves by the same distance; where the source
//	                                has a hole, the target stays. Files move as files. Before
//	                                6.17 this fails
//	MREMAP_DONTUNMAP                the areas move, and empty ones of the same kind stay, acquired
//	                                by the caller; a file is then mapped twice
//	old_len 0                       a second mapping of a shared area
//	the heap, the main stack        what has moved is Anon
//
// # Calls that fail
//
// They may have changed something. Where their arguments say what, it is
// applied; else the range is in Delta.Dirty, its areas stand as they were, and
// only /proc/PID/maps knows. See the table at Space.failed. What differs between
// kernels is in Options.FixedBreaks.
//
// # Not modelled
//
//   - Growth by faults: the main stack, MAP_GROWSDOWN.
//   - madvise: it changes residency, not mapping. But MADV_DONTFORK areas are
//     missing in a child, which Fork does not know.
//   - READ_IMPLIES_EXEC (personality): protections have PROT_EXEC that nobody asked for.
//   - Files on hugetlbfs, whose length the kernel rounds up, and huge pages that
//     were there before the trace: the opaque row is too short until the next audit.
//   - Protection keys, names (prctl), mlock, mseal: they split the kernel's rows, and
//     no comparison here minds that.
//   - Calls of 32-bit processes, process_madvise, userfaultfd, io_uring and others
//     that map memory without one of the calls above: the audit's to find.
//
// # Sources
//
// mm/mmap.c (do_brk_flags, ksys_mmap_pgoff), mm/vma.c (__mmap_region,
// vms_abort_munmap_vmas, do_vmi_align_munmap), mm/mremap.c (mremap_to,
// remap_move, dontunmap_complete), mm/mprotect.c (do_mprotect_pkey), ipc/shm.c
// (do_shmat, ksys_shmdt), fs/proc/task_mmu.c (show_map_vma); mmap(2),
// mremap(2), mprotect(2), brk(2), shmop(2), proc_pid_maps(5).
//
// # Tests
//
// Two oracles: a map with one entry per page, which shares no code with Space
// (FuzzApply), and the running kernel (TestApplyEqualsKernel).
package vma
