/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The slots of followed address spaces. */
#ifndef VMALEAK_SPACE_H
#define VMALEAK_SPACE_H

#include "report.h"

/* The kernel has no exit_mmap tracepoint: a space ends with its thread group's last thread, or
 * exec. */
const volatile bool no_exit_mmap;

/* Without exit_mmap: the space of a thread group that exits or execs ends if it was made for that
 * group. */
static __always_inline void end_space(struct space_state *st, __u32 space, __u32 tgid)
{
	__u64 key = st->mm;
	struct event *e;

	if (!no_exit_mmap || st->tgid != tgid)
		return;
	bpf_map_delete_elem(&spaces, &key);
	e = reserve(st, space, OP_END, 0);
	if (e)
		submit(st, e, 0, false);
	st->status = SPACE_ENDED;
}

/* A slot for mm; 0 when none is free. */
static __always_inline __u32 claim(struct mm_struct *mm, __u32 tgid, struct space_ref *ref)
{
	__u64 key = (__u64)mm;
	struct space_state *st;
	__u32 space = 0;

	if (bpf_map_pop_elem(&unclaimed, &space))
		return 0;
	st = state_of(space);
	if (!st)
		return 0;
	st->lockseq = st->completed = st->dropped = st->missed = st->skipped = 0;
	st->madvise = st->dontfork = st->unfollowed = 0;
	st->stacks_taken = st->stacks_limited = st->stacks_dropped = st->stacks_failed = 0;
	st->stack_window = st->block_window = 0;
	st->blocks = st->blocks_dropped = st->blocks_untracked = st->blocks_missed = 0;
	for (int i = 0; i < UNTRACED_MAX; i++)
		st->untraced[i] = 0;
	st->mm = key;
	st->tgid = tgid;
	st->gen++;
	st->status = SPACE_LIVE;
	ref->space = space;
	ref->gen = st->gen;
	if (bpf_map_update_elem(&spaces, &key, ref, BPF_ANY)) {
		st->status = SPACE_FREE;
		bpf_map_push_elem(&unclaimed, &space, 0);
		ref->space = ref->gen = 0;
		return 0;
	}
	return space;
}

#endif
