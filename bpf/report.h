/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Records into the ring, each counted if it cannot be. */
#ifndef VMALEAK_REPORT_H
#define VMALEAK_REPORT_H

#include "maps.h"

#define WAKEUP_BYTES (64 << 10) /* below, the reader wakes by its own deadline */

static __always_inline __u64 wakeup(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= WAKEUP_BYTES ? BPF_RB_FORCE_WAKEUP
									     : BPF_RB_NO_WAKEUP;
}

/* A record with its common part, or NULL and counted. */
static __always_inline struct event *reserve(struct space_state *st, __u32 space, __u16 op,
					     __u64 seq)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	__u64 id;

	if (!e) {
		COUNT(st->dropped);
		if (seq)
			COUNT(st->completed);
		return NULL;
	}
	id = bpf_get_current_pid_tgid();
	e->seq = seq;
	e->time_ns = bpf_ktime_get_ns();
	e->space = space;
	e->gen = st->gen;
	e->tgid = id >> 32;
	e->tid = id;
	e->op = op;
	e->phase = PHASE_EXIT;
	e->fresh = e->stack = 0;
	e->start_ns = 0;
	e->addr = e->len = e->new_len = e->target = 0;
	e->ret = 0;
	e->prot = e->flags = 0;
	return e;
}

/* Completed only counts what a reader can already find in the ring. */
static __always_inline void submit(struct space_state *st, struct event *e, __u64 seq, bool wake)
{
	bpf_ringbuf_submit(e, wake ? BPF_RB_FORCE_WAKEUP : wakeup());
	if (seq)
		COUNT(st->completed);
}

/* A number that will never be reported. */
static __always_inline void miss(struct call *c)
{
	struct space_state *st = state_of(c->space);

	if (st && st->gen == c->gen) {
		COUNT(st->missed);
		COUNT(st->completed);
	}
	c->seq = 0;
}

#endif
