/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The return of a call: where its number is reported with what it did. */
#ifndef VMALEAK_CALLS_H
#define VMALEAK_CALLS_H

#include "report.h"
#include "stack.h"

/* Takes the number of the current thread's call out of its slot, with the break as it was. */
static __always_inline __u64 take(__u32 tid, __u32 space, __u32 gen, long nr, struct pt_regs *regs,
				  __u64 *brk)
{
	struct call *c = bpf_map_lookup_elem(&calls, &tid);
	__u64 seq;

	if (!c || !c->seq)
		return 0;
	if (c->nr != nr || c->space != space || c->gen != gen || c->arg0 != ARG0(regs) ||
	    c->arg1 != ARG1(regs)) {
		miss(c);
		return 0;
	}
	seq = c->seq;
	*brk = c->brk;
	c->seq = 0;
	return seq;
}

static __always_inline void fill(struct event *e, struct pt_regs *regs, __u64 brk, long ret)
{
	e->addr = ARG0(regs);
	e->len = ARG1(regs);
	e->ret = ret;
	switch (e->op) {
	case OP_MMAP:
		e->prot = ARG2(regs);
		e->flags = ARG3(regs);
		break;
	case OP_MREMAP:
		e->new_len = ARG2(regs);
		e->flags = ARG3(regs);
		e->target = ARG4(regs);
		break;
	case OP_MPROTECT:
	case OP_PKEY_MPROTECT:
		e->prot = ARG2(regs);
		break;
	case OP_BRK:
		e->addr = brk;
		e->len = 0;
		break;
	case OP_SHMAT:
		e->addr = ARG1(regs);
		e->len = 0;
		e->flags = ARG2(regs);
		break;
	case OP_SHMDT:
		e->len = 0;
		break;
	}
}

/* The call returned: report it with its number. */
static __always_inline int on_exit(struct sys_exit_ctx *ctx, __u16 op, long nr)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct space_state *st;
	struct space_ref *ref;
	struct pt_regs *regs;
	struct event *e;
	struct mapping segment = {};
	__u64 mm = (__u64)task->mm, seq, brk = 0, now = 0;
	__u16 stack = STACK_NONE;
	bool wake = false;

	ref = bpf_map_lookup_elem(&spaces, &mm);
	if (!ref)
		return 0;
	st = state_of(ref->space);
	if (!st)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	seq = take(task->pid, ref->space, ref->gen, nr, regs, &brk);
	if (!seq) {
		/* Refused before it took the lock, or nothing to protect. */
		if (ERR(ctx->ret) || ((op == OP_MPROTECT || op == OP_PKEY_MPROTECT) && !ARG1(regs)))
			return 0;
		COUNT(st->skipped);
	}
	if (op == OP_SHMAT && !ERR(ctx->ret))
		segment = mapping_of(task, ctx->ret);
	seq = any(seq, USER_SP(regs));
	if (acquires(op, regs, brk, ctx->ret)) {
		now = bpf_ktime_get_ns();
		stack = take_stack(st, &st->stack_window, task, regs, now, &wake);
	}
	e = reserve(st, ref->space, op, seq);
	if (!e)
		return 0;
	e->start_ns = task->start_boottime;
	e->stack = stack;
	if (now)
		e->time_ns = now;
	if (!seq) {
		__u32 tid = task->pid;

		e->fresh = !bpf_map_lookup_elem(&calls, &tid);
	}
	fill(e, regs, brk, ctx->ret);
	if (op == OP_SHMAT && segment.start == ctx->ret) /* no argument tells how long it is */
		e->len = segment.end - segment.start;
	submit(st, e, seq, wake);
	return 0;
}

#define SYS_EXIT(name, op)                                                                         \
	SEC("tracepoint/syscalls/sys_exit_" #name)                                                 \
	int sys_exit_##name(struct sys_exit_ctx *ctx)                                              \
	{                                                                                          \
		return on_exit(ctx, op, NR_##name);                                                \
	}

SYS_EXIT(mmap, OP_MMAP)
SYS_EXIT(munmap, OP_MUNMAP)
SYS_EXIT(mremap, OP_MREMAP)
SYS_EXIT(brk, OP_BRK)
SYS_EXIT(mprotect, OP_MPROTECT)
SYS_EXIT(pkey_mprotect, OP_PKEY_MPROTECT)
SYS_EXIT(shmat, OP_SHMAT)
SYS_EXIT(shmdt, OP_SHMDT)
SYS_EXIT(remap_file_pages, OP_REMAP_FILE_PAGES)

/* A fork that succeeded was reported by sched_process_fork. */
static __always_inline int on_fork_exit(long nr)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct space_state *st;
	struct event *e;
	struct call *c;
	__u32 tid = task->pid;
	__u64 seq;

	c = bpf_map_lookup_elem(&calls, &tid);
	if (!c || !c->seq || c->nr != nr)
		return 0;
	st = state_of(c->space);
	if (!st || st->gen != c->gen)
		return 0;
	seq = c->seq;
	c->seq = 0;
	e = reserve(st, c->space, OP_VOID, seq);
	if (!e)
		return 0;
	submit(st, e, seq, false);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_clone")
int sys_exit_clone(struct sys_exit_ctx *ctx)
{
	return on_fork_exit(NR_clone);
}

SEC("tracepoint/syscalls/sys_exit_clone3")
int sys_exit_clone3(struct sys_exit_ctx *ctx)
{
	return on_fork_exit(NR_clone3);
}

#ifdef __TARGET_ARCH_x86
SEC("tracepoint/syscalls/sys_exit_fork")
int sys_exit_fork(struct sys_exit_ctx *ctx)
{
	return on_fork_exit(NR_fork);
}
#endif

/* At the exit: a program at any sys_enter taxes every system call of the host once more. */
SEC("tracepoint/syscalls/sys_exit_madvise")
int sys_exit_madvise(struct sys_exit_ctx *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 mm = (__u64)task->mm;
	struct space_ref *ref = bpf_map_lookup_elem(&spaces, &mm);
	struct space_state *st;

	if (!ref)
		return 0;
	st = state_of(ref->space);
	if (st)
		COUNT(st->madvise);
	return 0;
}

#endif
