/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the programs share: the maps, and how a counter of a space is raised. */
#ifndef VMALEAK_MAPS_H
#define VMALEAK_MAPS_H

#include "kernel.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "event.h"

#define MAX_SPACES 4096
#define MAX_THREADS 32768
#define ERR(ret) ((unsigned long)(ret) >= (unsigned long)-4095)

/* Where a thread is between its number and its report. */
struct call {
	__u64 seq; /* 0: nowhere */
	__u64 arg0, arg1;
	__u64 brk;
	__u32 space, gen;
	__s64 nr;
};

struct space_ref {
	__u32 space, gen; /* space 0: followed, but its space is not registered yet */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SPACES + 1);
	__type(key, __u32);
	__type(value, struct space_state);
} states SEC(".maps");

/* Indexes of free states: user space puts them in, a claim takes one out. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, MAX_SPACES);
	__type(value, __u32);
} unclaimed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SPACES);
	__type(key, __u64); /* struct mm_struct * */
	__type(value, struct space_ref);
} spaces SEC(".maps");

/* Thread groups whose children and execs are followed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SPACES * 4);
	__type(key, __u32); /* tgid */
	__type(value, struct space_ref);
} followed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_THREADS);
	__type(key, __u32); /* tid */
	__type(value, struct call);
} calls SEC(".maps");

#define COUNT(counter) __sync_fetch_and_add(&(counter), 1)

static __always_inline struct space_state *state_of(__u32 space)
{
	return bpf_map_lookup_elem(&states, &space);
}

#endif
