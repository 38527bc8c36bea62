/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The followed blocks of malloc that live, and their records. */
#ifndef VMALEAK_BLOCKS_H
#define VMALEAK_BLOCKS_H

#include "report.h"

struct block_key {
	__u64 mm, addr;
};

/* A followed block, and who asked for it. */
struct block {
	__u64 id;
	__u64 size;
	__u64 time_ns;
	__u64 start_ns;
	__u32 tid;
	__u32 gen; /* of the space: an mm pointer may be used again */
};

/* As many as user space asks for; what finds no room is counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct block_key);
	__type(value, struct block);
} blocks SEC(".maps");

/* A record of a block, or NULL and counted. Half of the ring is left to the calls of the kernel:
 * those must not be lost because of blocks, which the table can make good. */
static __always_inline struct event *block_record(struct space_state *st, __u32 space, __u16 op,
						  __u64 now)
{
	struct event *e = NULL;
	__u64 id = bpf_get_current_pid_tgid();

	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) <
	    bpf_ringbuf_query(&events, BPF_RB_RING_SIZE) / 2)
		e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		COUNT(st->blocks_dropped);
		return NULL;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = now;
	e->space = space;
	e->gen = st->gen;
	e->tgid = id >> 32;
	e->tid = id;
	e->op = op;
	e->phase = PHASE_EXIT;
	return e;
}

/* Takes a followed block out of the table, before its address can be used again. */
static __always_inline bool take_block(struct block_key *key, __u32 gen, struct block *b)
{
	struct block *found = bpf_map_lookup_elem(&blocks, key);

	if (!found)
		return false;
	*b = *found;
	return !bpf_map_delete_elem(&blocks, key) && b->gen == gen;
}

/* Puts a block into the table; the id of one that was there at this address. */
static __always_inline __u64 put_block(struct space_state *st, struct block_key *key,
				       struct block *b, bool *full)
{
	struct block *was = bpf_map_lookup_elem(&blocks, key);
	__u64 id = was && was->gen == b->gen ? was->id : 0;

	*full = bpf_map_update_elem(&blocks, key, b, BPF_ANY);
	if (*full)
		COUNT(st->blocks_untracked);
	return id;
}

#endif
