/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The enter-exit back end, for kernels without the lock's tracepoint: what is
 * released counts from the call's beginning, what is acquired from its end,
 * in the order of the ring. Exact where threads do not race for addresses. */
#ifndef VMALEAK_PLAIN_H
#define VMALEAK_PLAIN_H

#include "lock.h"
#include <bpf/bpf_core_read.h>

/* For the enter-exit back end, which has no program under the lock to note MADV_DONTFORK. */
SEC("tracepoint/syscalls/sys_enter_madvise")
int sys_enter_madvise(struct sys_enter_ctx *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 mm = (__u64)BPF_CORE_READ(task, mm);
	struct space_ref *ref = bpf_map_lookup_elem(&spaces, &mm);
	struct space_state *st;

	if (!ref)
		return 0;
	st = state_of(ref->space);
	if (!st)
		return 0;
	COUNT(st->madvise);
	if (differs(ctx->args[2]))
		COUNT(st->dontfork);
	return 0;
}

static __always_inline int plain_event(void *ctx, __u16 op, __u16 phase, long ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 mm = (__u64)BPF_CORE_READ(task, mm);
	struct space_ref *ref = bpf_map_lookup_elem(&spaces, &mm);
	struct space_state *st;
	struct event *e;

	if (!ref)
		return 0;
	st = state_of(ref->space);
	if (!st)
		return 0;
	e = reserve(st, ref->space, op, 0);
	if (!e)
		return 0;
	e->phase = phase;
	e->ret = ret;
	e->start_ns = BPF_CORE_READ(task, start_boottime);
	if (phase == PHASE_ENTER) {
		struct sys_enter_ctx *enter = ctx;

		e->addr = enter->args[0];
		if (op == OP_BRK || op == OP_SHMDT) {
			e->len = 0;
			if (op == OP_BRK) {
				e->addr = BPF_CORE_READ(task, mm, brk);
				e->target = enter->args[0];
			}
		} else {
			e->len = enter->args[1];
			if (op != OP_MUNMAP)
				e->prot = enter->args[2];
		}
		if (op == OP_SHMAT) {
			e->addr = e->len;
			e->len = 0;
			e->flags = e->prot;
			e->prot = 0;
		}
		if (op == OP_MMAP)
			e->flags = enter->args[3];
		if (op == OP_MREMAP) {
			e->new_len = enter->args[2];
			e->prot = 0;
			e->flags = enter->args[3];
			e->target = enter->args[4];
		}
	}
	submit(st, e, 0, false);
	return 0;
}

#define SYS_PLAIN(name, op)                                                                        \
	SEC("tracepoint/syscalls/sys_enter_" #name)                                                \
	int plain_enter_##name(struct sys_enter_ctx *ctx)                                          \
	{                                                                                          \
		return plain_event(ctx, op, PHASE_ENTER, 0);                                       \
	}                                                                                          \
	SEC("tracepoint/syscalls/sys_exit_" #name)                                                 \
	int plain_exit_##name(struct sys_exit_ctx *ctx)                                            \
	{                                                                                          \
		return plain_event(ctx, op, PHASE_EXIT, ctx->ret);                                 \
	}

SYS_PLAIN(mmap, OP_MMAP)
SYS_PLAIN(munmap, OP_MUNMAP)
SYS_PLAIN(mremap, OP_MREMAP)
SYS_PLAIN(brk, OP_BRK)
SYS_PLAIN(mprotect, OP_MPROTECT)
SYS_PLAIN(pkey_mprotect, OP_PKEY_MPROTECT)
SYS_PLAIN(shmat, OP_SHMAT)
SYS_PLAIN(shmdt, OP_SHMDT)

#endif
