//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The kernel half: numbers every change of a followed address space while the
 * mmap lock is held, and reports it when the call returns. See ARCHITECTURE.md. */
#include "lock.h"
#include "calls.h"
#include "life.h"
#include "plain.h"
#include "malloc.h"

/* bpf2go exports the types that something names. */
const struct event *unused_event __attribute__((unused));
const struct block *unused_block __attribute__((unused));
const enum malloc_call *unused_malloc_call __attribute__((unused));
const enum block_flags *unused_block_flags __attribute__((unused));
const struct space_state *unused_state __attribute__((unused));
const enum op *unused_op __attribute__((unused));
const enum phase *unused_phase __attribute__((unused));
const enum untraced *unused_untraced __attribute__((unused));
const enum stack_status *unused_stack_status __attribute__((unused));
const struct stack *unused_stack __attribute__((unused));
const enum space_status *unused_status __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
