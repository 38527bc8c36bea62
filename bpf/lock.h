/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The write lock of a followed space: where numbers are drawn. */
#ifndef VMALEAK_LOCK_H
#define VMALEAK_LOCK_H

#include "report.h"
#include <bpf/bpf_tracing.h>

#define MADV_DONTFORK 10
#define MADV_DOFORK 11

static __always_inline int untraced_class(long nr)
{
	switch (nr) {
	case -1:
		return UNTRACED_FAULT;
	case NR_map_shadow_stack:
		return UNTRACED_SHADOW_STACK;
	case NR_mlock:
	case NR_mlock2:
	case NR_munlock:
	case NR_mlockall:
	case NR_munlockall:
		return UNTRACED_MLOCK;
	case NR_prctl:
	case NR_arch_prctl:
		return UNTRACED_PRCTL;
	case NR_userfaultfd:
		return UNTRACED_USERFAULTFD;
	case NR_io_setup:
	case NR_io_destroy:
		return UNTRACED_AIO;
	case NR_madvise:
	case NR_process_madvise:
		return UNTRACED_MADVISE;
	case NR_mbind:
	case NR_set_mempolicy:
	case NR_migrate_pages:
		return UNTRACED_MEMPOLICY;
	case NR_io_uring_setup:
	case NR_io_uring_enter:
		return UNTRACED_IO_URING;
	case NR_execve:
	case NR_execveat:
		return UNTRACED_EXEC;
	}
	return UNTRACED_OTHER;
}

static __always_inline bool numbered(long nr)
{
	switch (nr) {
	case NR_mmap:
	case NR_munmap:
	case NR_mremap:
	case NR_brk:
	case NR_mprotect:
	case NR_pkey_mprotect:
	case NR_remap_file_pages:
	case NR_shmat:
	case NR_shmdt:
	case NR_clone:
	case NR_clone3:
	case NR_fork:
		return true;
	}
	return false;
}

/* Whether a child's map is not its parent's after this madvise. */
static __always_inline bool differs(unsigned long advice)
{
	return advice == MADV_DONTFORK || advice == MADV_DOFORK;
}

/* The write lock of mm is held. The number belongs to the calling thread's
 * system call, and only if that works on its own space: exit_mmap, the copying
 * of a child and other tasks' work come here too. */
static __always_inline int on_lock(struct mm_struct *mm, bool write, bool success)
{
	struct space_state *st;
	struct task_struct *task;
	struct space_ref *ref;
	struct pt_regs *regs;
	struct call *c, fresh = {};
	__u64 key = (__u64)mm, seq;
	__u32 tid;
	long nr;

	if (!write || !success)
		return 0;
	ref = bpf_map_lookup_elem(&spaces, &key);
	if (!ref)
		return 0;
	st = state_of(ref->space);
	if (!st || st->gen != ref->gen)
		return 0;
	task = bpf_get_current_task_btf();
	if (task->mm != mm) {
		if (mm->mm_users.counter) /* 0: exit_mmap, which takes all of it */
			COUNT(st->untraced[UNTRACED_FOREIGN]);
		return 0;
	}
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	nr = SYSCALL_NR(regs);
	if (nr != -1 && IS_COMPAT(task)) {
		COUNT(st->untraced[UNTRACED_COMPAT]);
		return 0;
	}
	if (!numbered(nr)) {
		COUNT(st->untraced[untraced_class(nr)]);
		/* Counted before a fork can take the lock. */
		if ((nr == NR_madvise && differs(ARG2(regs))) ||
		    (nr == NR_process_madvise && differs(ARG3(regs))))
			COUNT(st->dontfork);
		return 0;
	}
	/* Only the holder of the lock comes here: a plain increment is exact. */
	seq = st->lockseq + 1;
	*(volatile __u64 *)&st->lockseq = seq;
	tid = task->pid;
	c = bpf_map_lookup_elem(&calls, &tid);
	if (!c) {
		if (bpf_map_update_elem(&calls, &tid, &fresh, BPF_ANY) ||
		    !(c = bpf_map_lookup_elem(&calls, &tid))) {
			COUNT(st->missed);
			COUNT(st->completed);
			return 0;
		}
	} else if (c->seq) {
		miss(c);
	}
	c->arg0 = ARG0(regs);
	c->arg1 = ARG1(regs);
	c->nr = nr;
	c->brk = mm->brk;
	c->space = ref->space;
	c->gen = ref->gen;
	c->seq = seq;
	return 0;
}

SEC("tp_btf/mmap_lock_acquire_returned")
int BPF_PROG(lock_three, struct mm_struct *mm, bool write, bool success)
{
	return on_lock(mm, write, success);
}

/* Before 6.18 the tracepoint has the memory cgroup's path as second argument. */
SEC("tp_btf/mmap_lock_acquire_returned")
int BPF_PROG(lock_four, struct mm_struct *mm, const char *memcg, bool write, bool success)
{
	return on_lock(mm, write, success);
}

#endif
