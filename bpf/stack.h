/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The stack of a call that acquires memory, copied as it returns: registers and
 * raw bytes, which user space unwinds. Needs 5.15, for bpf_task_pt_regs. */
#ifndef VMALEAK_STACK_H
#define VMALEAK_STACK_H

#include "mapping.h"

#define PIECE 4096 /* what is read at once: no page is smaller */
#define PIECE_OF(addr) ((addr) & ~(PIECE - 1ULL))
#define PIECES_MAX (STACK_LIMIT / PIECE + 1) /* the stack pointer lies anywhere in the first */
#define WINDOWS 8			     /* a second's, in which the rate is capped */
#define WINDOW_NS (1000000000 / WINDOWS)
#define WAKEUPS 128 /* in a window, since each costs the target more than the copy */
#define STACK_WAKEUP_BYTES (1 << 20)
#define MAP_TYPE 0x0f
#define MAP_PRIVATE 0x02
#define MAP_ANONYMOUS 0x20
#define MAP_HUGETLB 0x40000
#define PROT_READ_WRITE 0x3

const volatile __u64 stack_min =
	~0ULL; /* bytes that a call acquires at least; all ones: no stacks */
const volatile __u32 stack_rate = 4000; /* a second and space */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} stacks SEC(".maps");

/* Whether the call that returned acquires memory, as far as its arguments tell:
 * if what mprotect opens was closed before, the ledger knows. */
static __always_inline bool acquires(__u16 op, struct pt_regs *regs, __u64 brk, long ret)
{
	if (stack_min == ~0ULL || ERR(ret))
		return false;
	switch (op) {
	case OP_MMAP:
		return (ARG3(regs) & MAP_TYPE) == MAP_PRIVATE && (ARG3(regs) & MAP_ANONYMOUS) &&
		       !(ARG3(regs) & MAP_HUGETLB) && ARG1(regs) >= stack_min;
	case OP_MREMAP:
		return (ARG2(regs) > ARG1(regs) || (__u64)ret != ARG0(regs)) &&
		       ARG2(regs) >= stack_min;
	case OP_BRK:
		return brk && (__u64)ret > brk && (__u64)ret - brk >= stack_min;
	case OP_MPROTECT:
	case OP_PKEY_MPROTECT:
		return (ARG2(regs) & PROT_READ_WRITE) && ARG1(regs) >= stack_min;
	}
	return false;
}

/* How many stacks a space has asked for in the current window, this one not counted. The window
 * is the upper half of the word: a change of both at once is one write. */
static __always_inline __u32 asked_before(__u64 *word, __u64 now)
{
	__u64 was = *(volatile __u64 *)word, window = (now / WINDOW_NS) << 32;

	if (was >> 32 != window >> 32)
		__sync_val_compare_and_swap(word, was, window);
	return __sync_fetch_and_add(word, 1);
}

/* Whether a read failed, as a number: the verifier follows each branch to the end. */
#define FAILED(ret) ((__u32)((__u64)(ret) >> 63))

/* The same number, of which the verifier knows nothing: what follows is not verified for each. */
static __always_inline __u64 any(__u64 number, __u64 unknown)
{
	number ^= unknown;
	asm volatile("" : "+r"(number));
	return number ^ unknown;
}

/* How many pieces there are from the one that sp lies in to the last that can be read; *absent are
 * those of the stack that cannot, bit n for piece n. The stack ends where its mapping does or, if
 * that is not known, at the first piece that cannot be read; and at the thread pointer: C libraries
 * put what it points to at the upper end, and another mapping may follow without a gap. */
static __always_inline int readable(struct task_struct *task, __u64 sp, __u32 *absent)
{
	__u64 from = PIECE_OF(sp), tp = THREAD_POINTER(task), mapped,
	      end = tp > sp ? PIECE_OF(tp + PIECE - 1) : ~0ULL;
	__u32 pieces, failed, n;
	__u8 byte;

	*absent = 0;
	for (n = 0; n < PIECES_MAX && from + n * PIECE < end; n++)
		if (bpf_probe_read_user(&byte, 1, (void *)(from + n * PIECE)))
			break;
	pieces = n;
	if (n < PIECES_MAX && from + n * PIECE < end) {
		mapped = mapping_of(task, sp).end;
		end = mapped < end ? mapped : end;
		for (; n < PIECES_MAX && from + n * PIECE < end; n++) {
			failed = FAILED(bpf_probe_read_user(&byte, 1, (void *)(from + n * PIECE)));
			*absent |= failed << n;
			pieces += (1 - failed) * (n + 1 - pieces);
		}
	}
	*absent = any(*absent, from >> 12);
	return any(pieces, from >> 12);
}

static __always_inline void note_registers(struct stack *s, struct pt_regs *regs)
{
	s->pc = USER_PC(regs);
	s->sp = USER_SP(regs);
#if defined(__TARGET_ARCH_x86)
	__u64 dwarf[] = {regs->ax,  regs->dx,  regs->cx,  regs->bx, regs->si,  regs->di,
			 regs->bp,  regs->sp,  regs->r8,  regs->r9, regs->r10, regs->r11,
			 regs->r12, regs->r13, regs->r14, regs->r15};

	__builtin_memset(s->regs, 0, sizeof(s->regs));
	__builtin_memcpy(s->regs, dwarf, sizeof(dwarf));
#elif defined(__TARGET_ARCH_arm64)
	bpf_probe_read_kernel(s->regs, sizeof(regs->regs), regs->regs);
	s->regs[31] = regs->sp;
#endif
}

/* Return addresses that uretprobes have taken off the stack, innermost first. */
static __always_inline void note_returns(struct stack *s, struct task_struct *task)
{
	struct return_instance *r;
	__u32 n;

	s->returned = 0;
	if (!bpf_core_field_exists(task->utask))
		return;
	r = BPF_CORE_READ(task, utask, return_instances);
	for (n = 0; n < RETURNS_MAX && r; n++) {
		s->returns[n].sp = BPF_CORE_READ(r, stack);
		s->returns[n].pc = BPF_CORE_READ(r, orig_ret_vaddr);
		r = BPF_CORE_READ(r, next);
	}
	s->returned = n;
}

/* Room for that many pieces. The verifier wants each size as a constant, and
 * the compiler must not make one call of several. */
#define ROOM(n)                                                                                    \
	case n:                                                                                    \
		s = bpf_ringbuf_reserve(&stacks, sizeof(*s) + n * PIECE, 0);                       \
		pieces = n;                                                                        \
		asm volatile("" : "+r"(pieces));                                                   \
		break;

/* Copies the current thread's stack into the ring, without a detour: a buffer
 * of this size would be one per processor and could be in use by another task. */
static __always_inline __u16 copy_stack(struct space_state *st, struct task_struct *task,
					struct pt_regs *regs, __u64 now)
{
	__u64 from = PIECE_OF(USER_SP(regs));
	__u32 absent;
	int pieces = readable(task, USER_SP(regs), &absent), i;
	struct stack *s = NULL;

	if (!pieces) {
		COUNT(st->stacks_failed);
		return STACK_FAILED;
	}
	switch (pieces) {
		ROOM(1)
		ROOM(2)
		ROOM(3)
		ROOM(4)
		ROOM(5)
		ROOM(6)
		ROOM(7)
		ROOM(8)
		ROOM(9)
		ROOM(10)
		ROOM(11)
		ROOM(12)
		ROOM(13)
		ROOM(14)
		ROOM(15)
		ROOM(16)
		ROOM(17)
	}
	if (!s) {
		COUNT(st->stacks_dropped);
		return STACK_DROPPED;
	}
	absent &= ~0U << pieces;
	for (i = 0; i < pieces; i++)
		absent |= FAILED(bpf_probe_read_user((char *)(s + 1) + i * PIECE, PIECE,
						     (void *)(from + i * PIECE)))
			  << i; /* it is filled with zeros */
	s->absent = absent;
	s->pieces = pieces;
	s->time_ns = now;
	s->tgid = task->tgid;
	s->tid = task->pid;
	s->start_ns = task->start_boottime;
	note_registers(s, regs);
	note_returns(s, task);
	bpf_ringbuf_submit(s, BPF_RB_NO_WAKEUP); /* the event that follows wakes */
	COUNT(st->stacks_taken);
	return STACK_TAKEN;
}
_Static_assert(PIECES_MAX == 17, "ROOM for each");

/* The stack for the event of a call, if it is to have one, counted in the given window; wake says
 * whether the reader should. */
static __always_inline __u16 take_stack(struct space_state *st, __u64 *window_word,
					struct task_struct *task, struct pt_regs *regs, __u64 now,
					bool *wake)
{
	__u32 before = asked_before(window_word, now);
	__u64 waiting;

	if (before >= (stack_rate + WINDOWS - 1) / WINDOWS) {
		COUNT(st->stacks_limited);
		return STACK_LIMITED;
	}
	/* A reader that has read all of it sleeps, while the target goes on: it may exit, free what
	 * it was called from, thaw frames of a virtual thread. */
	waiting = bpf_ringbuf_query(&stacks, BPF_RB_AVAIL_DATA);
	*wake = any((!waiting && before < WAKEUPS) || waiting >= STACK_WAKEUP_BYTES, now) & 1;
	return copy_stack(st, task, regs, now);
}

#endif
