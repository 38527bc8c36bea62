/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the kernel half hands to user space: records in the ring and counters in shared memory. */
#ifndef VMALEAK_EVENT_H
#define VMALEAK_EVENT_H

/* The numbers of vma.Op; LIFE_* go on where they end. */
enum op {
	OP_MMAP = 1,
	OP_MUNMAP,
	OP_MREMAP,
	OP_BRK,
	OP_MPROTECT,
	OP_PKEY_MPROTECT,
	OP_SHMAT,
	OP_SHMDT,
	OP_REMAP_FILE_PAGES,
	OP_FORK, /* addr, len: the child's space and generation; ret: its tgid */
	OP_EXEC, /* the new space is the record's; addr, len: the old one; new_len, target: comm;
		    ret: tgid */
	OP_EXIT, /* the last thread of tgid is gone; ret: exit code as in wait(2); flags: 1 = killed
		    for want of memory */
	OP_VOID,
	OP_SHARE, /* vfork, CLONE_VM: ret is a further tgid of this space */
	OP_END,	  /* exit_mmap: nothing comes after */
	OP_BLOCK, /* a function of malloc returned: addr, len: the block; new_len: its id, 0 = none
		     or not followed; target: id of the block that realloc took; ret: id of one at
		     the same address whose end was not seen; flags: enum block_flags */
	OP_UNBLOCK, /* free was called: target: the block's id */
};

enum block_flags {
	BLOCK_FAILED = 1, /* there is no block */
	BLOCK_UNTRACKED,  /* there is, but no room in the table */
};

/* What the functions of malloc's family have in common. */
enum malloc_call {
	CALL_MALLOC = 1,   /* (size) */
	CALL_CALLOC,	   /* (n, size) */
	CALL_REALLOC,	   /* (block, size) */
	CALL_REALLOCARRAY, /* (block, n, size) */
	CALL_ALIGNED,	   /* (alignment, size) */
	CALL_POSIX,	   /* (result, alignment, size) */
	CALL_FREE,	   /* (block) */
};

/* When a record was made. Only the enter-exit back end makes PHASE_ENTER. */
enum phase {
	PHASE_EXIT = 1,
	PHASE_ENTER,
};

struct event {
	__u64 seq;	/* drawn under the mmap lock, dense per space, from 1; 0 = none */
	__u64 time_ns;	/* CLOCK_MONOTONIC */
	__u64 start_ns; /* the thread's start, CLOCK_BOOTTIME */
	__u64 addr;
	__u64 len;
	__u64 new_len;
	__u64 target;
	__s64 ret;
	__u32 space;
	__u32 gen;
	__u32 tgid;
	__u32 tid;
	__u32 prot;
	__u32 flags;
	__u16 op;
	__u16 phase;
	__u16 fresh; /* seq is 0 and the thread has drawn no number yet: the call began before we
			did */
	__u16 stack; /* enum stack_status: a record in the other ring has the same tid and time */
};
_Static_assert(sizeof(struct event) == 96, "struct event is an ABI");

/* What became of the stack of an event. */
enum stack_status {
	STACK_NONE, /* the event is not one that has a stack */
	STACK_TAKEN,
	STACK_LIMITED, /* above the rate */
	STACK_DROPPED, /* the ring of stacks was full */
	STACK_FAILED,  /* nothing of it could be read */
};

#define STACK_LIMIT (64 << 10) /* bytes, from the stack pointer upward */
#define RETURNS_MAX 16

/* A return address that an uretprobe replaced, and where on the stack it was. */
struct stack_return {
	__u64 sp, pc;
};

/* A copied stack. Its pieces of 4 KiB follow, from the one that the stack pointer is in. Those of
 * large frames that were never touched are not in memory. */
struct stack {
	__u64 time_ns; /* the event's */
	__u64 start_ns;
	__u64 pc, sp;
	__u64 regs[32]; /* in DWARF's numbering */
	struct stack_return returns[RETURNS_MAX];
	__u32 tgid;
	__u32 tid;	/* the event's */
	__u32 returned; /* returns that are set */
	__u32 pieces;
	__u32 absent; /* bit n: piece n belongs to the stack and could not be read; those after the
			 last that could do not follow */
	__u32 pad;
};
_Static_assert(sizeof(struct stack) == 568, "struct stack is an ABI");

/* Write locks of a followed space that draw no number, by what took them. */
enum untraced {
	UNTRACED_FAULT,	 /* stack growth and other faults */
	UNTRACED_COMPAT, /* int 0x80 and 32-bit tasks: no sys_exit tracepoint tells what they did */
	UNTRACED_FOREIGN, /* another task's work on this space */
	UNTRACED_SHADOW_STACK,
	UNTRACED_MLOCK,
	UNTRACED_PRCTL,
	UNTRACED_USERFAULTFD,
	UNTRACED_AIO,
	UNTRACED_MADVISE,
	UNTRACED_MEMPOLICY,
	UNTRACED_IO_URING,
	UNTRACED_EXEC,
	UNTRACED_OTHER,
	UNTRACED_MAX,
};

enum space_status {
	SPACE_FREE,
	SPACE_LIVE,
	SPACE_ENDED,
};

/* One slot of the mmapable array "states"; 0 is never used. User space reads
 * it with plain loads: it is the hot path's only way to count. */
struct space_state {
	__u64 lockseq;	  /* last number drawn; written under the mmap lock */
	__u64 completed;  /* numbers whose record is in the ring, or counted below */
	__u64 dropped;	  /* numbers whose record found the ring full */
	__u64 missed;	  /* numbers that no exit program took up */
	__u64 skipped;	  /* calls that succeeded without a number */
	__u64 madvise;	  /* calls: they change residency, not mapping */
	__u64 dontfork;	  /* madvise(MADV_DONTFORK or MADV_DOFORK): a child's map differs */
	__u64 unfollowed; /* children for which no slot was free */
	__u64 untraced[UNTRACED_MAX];
	__u64 mm; /* struct mm_struct *, the key in the map of spaces */
	__u64 stacks_taken;
	__u64 stacks_limited;
	__u64 stacks_dropped;
	__u64 stacks_failed;
	__u64 stack_window;   /* number of the window, and the stacks asked for in it (32 bits) */
	__u64 block_window;   /* the same for blocks of malloc, which must not use up the others' */
	__u64 blocks;	      /* ids given to blocks of malloc */
	__u64 blocks_dropped; /* records of blocks that found the ring full */
	__u64 blocks_untracked; /* blocks for which the table had no room */
	__u64 blocks_missed;	/* calls of malloc whose return was not seen */
	__u32 gen;		/* raised by each claim: an mm pointer may be used again */
	__u32 status;
	__u32 tgid; /* of the claim */
	__u32 pad;
};
_Static_assert(sizeof(struct space_state) == 272, "struct space_state is an ABI");

#endif
