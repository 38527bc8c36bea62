/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Blocks of malloc's family, where they are asked for: uprobes in the target's own libc. Blocks are
 * told apart by an id, since an address is used again: so no order of records matters. */
#ifndef VMALEAK_MALLOC_H
#define VMALEAK_MALLOC_H

#include "blocks.h"
#include "stack.h"
#include <bpf/bpf_tracing.h>

#define MAX_PROBED 1024
#define NEST (256 << 10) /* a call within malloc is no deeper below it */

const volatile __u64 malloc_min = ~0ULL; /* bytes of a block that is followed */

/* A function of malloc that a thread is in, and that matters. */
struct pending {
	__u64 sp; /* at its entry: tells its return from those of calls within */
	__u64 pc;
	__u64 start_ns;
	__u64 time_ns;
	__u64 size;
	__u64 result; /* where posix_memalign puts it */
	__u64 old;    /* the block that realloc was given, if it is followed */
	__u64 old_id, old_size, old_time_ns, old_start_ns;
	__u32 old_tid;
	__u32 space, gen;
	__u16 call;
	__u16 stack;
	bool wake;
};

/* What a thread leaves here when it ends within malloc is pushed out some day. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_THREADS);
	__type(key, __u32); /* tid */
	__type(value, struct pending);
} pendings SEC(".maps");

/* Calls of any size, by the number in the upper part of the probe's cookie. */
struct looked {
	__u64 calls;
	__u64 pad[7]; /* a cache line */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_PROBED);
	__type(key, __u32);
	__type(value, struct looked);
} looked SEC(".maps");

static __always_inline __u64 product(__u64 n, __u64 size)
{
	__u64 most = size ? ~0ULL / size : ~0ULL;

	asm volatile("" : "+r"(most)); /* or the compiler wants 128 bits */
	return n > most ? ~0ULL : n * size;
}

/* The bytes that a call asks for. */
static __always_inline __u64 asked(struct pt_regs *regs, __u16 call)
{
	switch (call) {
	case CALL_MALLOC:
		return PARM0(regs);
	case CALL_CALLOC:
		return product(PARM0(regs), PARM1(regs));
	case CALL_REALLOC:
	case CALL_ALIGNED:
		return PARM1(regs);
	case CALL_REALLOCARRAY:
		return product(PARM1(regs), PARM2(regs));
	case CALL_POSIX:
		return PARM2(regs);
	}
	return 0;
}

static __always_inline void on_free(struct task_struct *task, __u64 addr)
{
	struct block_key key = {.mm = (__u64)task->mm, .addr = addr};
	struct space_state *st;
	struct space_ref *ref;
	struct event *e;
	struct block b;

	if (!addr || !bpf_map_lookup_elem(&blocks, &key))
		return;
	ref = bpf_map_lookup_elem(&spaces, &key.mm);
	if (!ref)
		return;
	st = state_of(ref->space);
	if (!st || !take_block(&key, ref->gen, &b))
		return;
	e = block_record(st, ref->space, OP_UNBLOCK, bpf_ktime_get_ns());
	if (!e)
		return;
	e->start_ns = task->start_boottime;
	e->addr = addr;
	e->len = b.size;
	e->target = b.id;
	bpf_ringbuf_submit(e, wakeup());
}

/* Whether the thread is within a call that is followed already: it does the work for that one, at
 * the same place of the stack if the compiler made a jump of its last call. A call that was left
 * without a return is counted. */
static __always_inline bool within(struct pending *p, struct pt_regs *regs,
				   struct task_struct *task, struct space_ref *ref,
				   struct space_state *st)
{
	if (!p)
		return false;
	if (p->start_ns == task->start_boottime && p->space == ref->space && p->gen == ref->gen &&
	    ((p->sp > USER_SP(regs) && p->sp - USER_SP(regs) < NEST) ||
	     (p->sp == USER_SP(regs) && p->pc != USER_PC(regs))))
		return true;
	if (p->space == ref->space && p->gen == ref->gen)
		COUNT(st->blocks_missed);
	return false;
}

/* A function of malloc is entered. Reports whether its return matters. */
static __always_inline bool on_malloc(struct pt_regs *regs, __u64 cookie)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 size, old = 0;
	__u32 probed = cookie >> 8, tid = task->pid;
	__u16 call = cookie & 0xff;
	struct block_key key = {.mm = (__u64)task->mm};
	struct pending p = {};
	struct space_state *st;
	struct space_ref *ref;
	struct looked *seen;
	struct block b;

	seen = bpf_map_lookup_elem(&looked, &probed);
	if (seen)
		COUNT(seen->calls);
	if (call == CALL_FREE) {
		on_free(task, PARM0(regs));
		return false;
	}
	size = asked(regs, call);
	if (call == CALL_REALLOC || call == CALL_REALLOCARRAY) {
		key.addr = PARM0(regs);
		if (key.addr && bpf_map_lookup_elem(&blocks, &key))
			old = key.addr;
	}
	if (size < malloc_min && !old)
		return false;
	ref = bpf_map_lookup_elem(&spaces, &key.mm);
	if (!ref)
		return false;
	st = state_of(ref->space);
	if (!st)
		return false;
	if (within(bpf_map_lookup_elem(&pendings, &tid), regs, task, ref, st))
		return false;
	p.sp = USER_SP(regs);
	p.pc = USER_PC(regs);
	p.start_ns = task->start_boottime;
	p.time_ns = bpf_ktime_get_ns();
	p.size = size;
	p.space = ref->space;
	p.gen = ref->gen;
	p.call = call;
	if (call == CALL_POSIX)
		p.result = PARM0(regs);
	/* While realloc runs, another thread may be given the memory. */
	if (old && take_block(&key, ref->gen, &b)) {
		p.old = old;
		p.old_id = b.id;
		p.old_size = b.size;
		p.old_time_ns = b.time_ns;
		p.old_start_ns = b.start_ns;
		p.old_tid = b.tid;
	} else if (size < malloc_min) {
		return false;
	}
	if (size >= malloc_min && stack_min != ~0ULL)
		p.stack = take_stack(st, &st->block_window, task, regs, p.time_ns, &p.wake);
	if (bpf_map_update_elem(&pendings, &tid, &p, BPF_ANY)) {
		COUNT(st->blocks_missed);
		return false;
	}
	return true;
}

/* A call that mattered has returned. */
static __always_inline void on_malloc_return(struct pt_regs *regs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct block_key key = {.mm = (__u64)task->mm};
	__u32 tid = task->pid;
	struct pending *found = bpf_map_lookup_elem(&pendings, &tid), p;
	struct space_state *st;
	struct event *e;
	struct block b = {};
	__u64 replaced = 0;
	__u32 flags = 0;
	bool full = false;

	if (!found || found->sp != USER_SP(regs) - RETURN_SLOT ||
	    found->start_ns != task->start_boottime)
		return;
	p = *found;
	bpf_map_delete_elem(&pendings, &tid);
	st = state_of(p.space);
	if (!st || st->gen != p.gen || st->mm != key.mm)
		return;
	key.addr = RETURNED(regs);
	if (p.call == CALL_POSIX &&
	    ((__u32)key.addr || bpf_probe_read_user(&key.addr, 8, (void *)p.result)))
		key.addr = 0;
	if (!key.addr && p.size && p.old_id) { /* realloc failed: the block is as it was */
		key.addr = p.old;
		b.id = p.old_id;
		b.size = p.old_size;
		b.time_ns = p.old_time_ns;
		b.start_ns = p.old_start_ns;
		b.tid = p.old_tid;
		b.gen = p.gen;
		replaced = put_block(st, &key, &b, &full);
		if (!full)
			p.old_id = 0;
		key.addr = b.id = 0;
		flags = BLOCK_FAILED;
	} else if (!key.addr) {
		flags = BLOCK_FAILED;
	} else if (p.size >= malloc_min) {
		b.id = __sync_fetch_and_add(&st->blocks, 1) + 1;
		b.size = p.size;
		b.time_ns = p.time_ns;
		b.start_ns = p.start_ns;
		b.tid = tid;
		b.gen = p.gen;
		replaced = put_block(st, &key, &b, &full);
		if (full) {
			flags = BLOCK_UNTRACKED;
			b.id = 0;
		}
	}
	e = block_record(st, p.space, OP_BLOCK, p.time_ns);
	if (!e)
		return;
	e->start_ns = p.start_ns;
	e->addr = key.addr;
	e->len = p.size;
	e->new_len = b.id;
	e->target = p.old_id;
	e->ret = replaced;
	e->flags = p.size || key.addr ? flags : 0; /* realloc(block, 0) is free */
	e->stack = p.stack;
	bpf_ringbuf_submit(e, p.wake ? BPF_RB_FORCE_WAKEUP : wakeup());
}

/* Kernels from 6.13 on: one program for both, which says at the entry whether the return matters.
 */
SEC("uprobe.session")
int malloc_session(struct pt_regs *ctx)
{
	if (bpf_get_func_ip(ctx) != USER_PC(ctx)) {
		on_malloc_return(ctx);
		return 0;
	}
	return !on_malloc(ctx, bpf_get_attach_cookie(ctx));
}

SEC("uprobe")
int malloc_enter(struct pt_regs *ctx)
{
	on_malloc(ctx, bpf_get_attach_cookie(ctx));
	return 0;
}

SEC("uretprobe")
int malloc_return(struct pt_regs *ctx)
{
	on_malloc_return(ctx);
	return 0;
}

#endif
