/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The life of spaces and of those who use them: fork, exec, exit, the end. */
#ifndef VMALEAK_LIFE_H
#define VMALEAK_LIFE_H

#include "space.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* Registers the child before it runs. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(task_fork, struct task_struct *parent, struct task_struct *child)
{
	__u64 mm = (__u64)BPF_CORE_READ(parent, mm), child_mm = (__u64)BPF_CORE_READ(child, mm);
	__u32 tgid = BPF_CORE_READ(parent, tgid), child_tgid = BPF_CORE_READ(child, tgid);
	__u32 tid = BPF_CORE_READ(parent, pid);
	struct space_ref *ref, none = {}, child_ref = {};
	struct space_state *st;
	struct event *e;
	struct call *c;
	__u64 seq = 0;

	if (tgid == child_tgid) /* a thread */
		return 0;
	ref = bpf_map_lookup_elem(&spaces, &mm);
	if (!ref) {
		/* Followed, but not registered yet: the child will be found by the iterator. */
		if (bpf_map_lookup_elem(&followed, &tgid))
			bpf_map_update_elem(&followed, &child_tgid, &none, BPF_ANY);
		return 0;
	}
	st = state_of(ref->space);
	if (!st)
		return 0;
	if (mm == child_mm) {
		child_ref = *ref;
		if (bpf_map_update_elem(&followed, &child_tgid, &child_ref, BPF_ANY))
			COUNT(st->unfollowed);
		e = reserve(st, ref->space, OP_SHARE, 0);
		if (!e)
			return 0;
		e->ret = child_tgid;
		e->start_ns = BPF_CORE_READ(child, start_boottime);
		submit(st, e, 0, false);
		return 0;
	}
	c = bpf_map_lookup_elem(&calls, &tid);
	if (c && c->seq && c->space == ref->space && c->gen == ref->gen) {
		seq = c->seq;
		c->seq = 0;
	}
	if (!claim((void *)child_mm, child_tgid, &child_ref))
		COUNT(st->unfollowed);
	else if (bpf_map_update_elem(&followed, &child_tgid, &child_ref, BPF_ANY))
		COUNT(st->unfollowed);
	e = reserve(st, ref->space, OP_FORK, seq);
	if (!e)
		return 0;
	e->addr = child_ref.space;
	e->len = child_ref.gen;
	e->ret = child_tgid;
	e->start_ns = BPF_CORE_READ(child, start_boottime);
	submit(st, e, seq, false);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(task_exec, struct task_struct *task, int old_pid)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct space_ref *ref, *known, fresh = {};
	struct space_state *st;
	struct event *e;
	__u64 key = (__u64)mm;

	ref = bpf_map_lookup_elem(&followed, &tgid);
	if (!ref)
		return 0;
	known = bpf_map_lookup_elem(&spaces, &key);
	if (known) { /* registered between the new map's making and here */
		*ref = *known;
		return 0;
	}
	if (!claim(mm, tgid, &fresh)) {
		st = state_of(ref->space);
		if (st)
			COUNT(st->unfollowed);
		bpf_map_delete_elem(&followed, &tgid);
		return 0;
	}
	st = state_of(fresh.space);
	if (!st)
		return 0;
	e = reserve(st, fresh.space, OP_EXEC, 0);
	if (e) {
		e->addr = ref->space;
		e->len = ref->gen;
		e->ret = tgid;
		bpf_get_current_comm(&e->new_len, sizeof(e->new_len) + sizeof(e->target));
		e->start_ns = BPF_CORE_READ(task, start_boottime);
		submit(st, e, 0, false);
	}
	st = state_of(ref->space);
	if (st && st->gen == ref->gen)
		end_space(st, ref->space, tgid);
	*ref = fresh;
	return 0;
}

/* The space is about to be torn down, by exec or after the last of its tasks. */
SEC("tp_btf/exit_mmap")
int BPF_PROG(space_end, struct mm_struct *mm)
{
	__u64 key = (__u64)mm;
	struct space_ref *ref = bpf_map_lookup_elem(&spaces, &key), was;
	struct space_state *st;
	struct event *e;

	if (!ref)
		return 0;
	was = *ref;
	bpf_map_delete_elem(&spaces, &key);
	st = state_of(was.space);
	if (!st || st->gen != was.gen)
		return 0;
	e = reserve(st, was.space, OP_END, 0);
	if (e)
		submit(st, e, 0, false);
	st->status = SPACE_ENDED;
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(task_exit, struct task_struct *task)
{
	__u32 tid = BPF_CORE_READ(task, pid), tgid = BPF_CORE_READ(task, tgid);
	struct call *c = bpf_map_lookup_elem(&calls, &tid);
	struct space_ref *ref, was;
	struct space_state *st;
	struct event *e;

	if (c) {
		if (c->seq)
			miss(c);
		bpf_map_delete_elem(&calls, &tid);
	}
	ref = bpf_map_lookup_elem(&followed, &tgid);
	if (!ref || BPF_CORE_READ(task, signal, live.counter))
		return 0;
	was = *ref;
	bpf_map_delete_elem(&followed, &tgid);
	st = state_of(was.space);
	if (!st)
		return 0;
	e = reserve(st, was.space, OP_EXIT, 0);
	if (!e)
		return 0;
	e->gen = was.gen;
	e->tgid = tgid;
	e->ret = BPF_CORE_READ(task, signal, group_exit_code);
	if (!e->ret)
		e->ret = BPF_CORE_READ(task, exit_code);
	e->flags = BPF_CORE_READ(task, signal, oom_mm) != NULL;
	submit(st, e, 0, false);
	if (st->gen == was.gen)
		end_space(st, was.space, tgid);
	return 0;
}

/* Registers the spaces of followed thread groups that run already. */
SEC("iter/task")
int register_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct space_ref *ref, *known, fresh = {};
	struct mm_struct *mm;
	__u64 key;
	__u32 tgid;

	if (!task)
		return 0;
	tgid = task->tgid;
	ref = bpf_map_lookup_elem(&followed, &tgid);
	if (!ref || ref->space)
		return 0;
	mm = task->mm;
	if (!mm)
		return 0;
	key = (__u64)mm;
	known = bpf_map_lookup_elem(&spaces, &key);
	if (known)
		*ref = *known;
	else if (claim(mm, tgid, &fresh))
		*ref = fresh;
	return 0;
}

#endif
