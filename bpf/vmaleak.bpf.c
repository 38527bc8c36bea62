//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The kernel half: numbers every change of a followed address space while the
 * mmap lock is held, and reports it when the call returns. See ARCHITECTURE.md. */
#include "kernel.h"
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "event.h"

#define WAKEUP_BYTES (64 << 10) /* below, the reader wakes by its own deadline */
#define MAX_SPACES 4096
#define MAX_THREADS 32768
#define MADV_DONTFORK 10
#define MADV_DOFORK 11
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

/* bpf2go exports the types that something names. */
const struct event *unused_event __attribute__((unused));
const struct space_state *unused_state __attribute__((unused));
const enum op *unused_op __attribute__((unused));
const enum phase *unused_phase __attribute__((unused));
const enum untraced *unused_untraced __attribute__((unused));
const enum space_status *unused_status __attribute__((unused));

/* The kernel has no exit_mmap tracepoint: a space ends with its thread group's last thread, or
 * exec. */
const volatile bool no_exit_mmap;

#define COUNT(counter) __sync_fetch_and_add(&(counter), 1)

static __always_inline struct space_state *state_of(__u32 space)
{
	return bpf_map_lookup_elem(&states, &space);
}

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
	e->fresh = 0;
	e->start_ns = 0;
	e->addr = e->len = e->new_len = e->target = 0;
	e->ret = 0;
	e->prot = e->flags = 0;
	return e;
}

/* Completed only counts what a reader can already find in the ring. */
static __always_inline void submit(struct space_state *st, struct event *e, __u64 seq)
{
	bpf_ringbuf_submit(e, wakeup());
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
		submit(st, e, 0);
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

struct found_vma {
	__u64 addr, len;
};

static long note_vma(struct task_struct *task, struct vm_area_struct *vma, struct found_vma *found)
{
	if (vma->vm_start == found->addr)
		found->len = vma->vm_end - vma->vm_start;
	return 0;
}

/* The call returned: report it with its number. */
static __always_inline int on_exit(struct sys_exit_ctx *ctx, __u16 op, long nr, bool find)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct space_state *st;
	struct space_ref *ref;
	struct pt_regs *regs;
	struct event *e;
	struct found_vma found = {};
	__u64 mm = (__u64)task->mm, seq, brk = 0;

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
	if (find && !ERR(ctx->ret)) {
		found.addr = ctx->ret;
		bpf_find_vma(task, ctx->ret, note_vma, &found, 0);
	}
	e = reserve(st, ref->space, op, seq);
	if (!e)
		return 0;
	e->start_ns = task->start_boottime;
	if (!seq) {
		__u32 tid = task->pid;

		e->fresh = !bpf_map_lookup_elem(&calls, &tid);
	}
	fill(e, regs, brk, ctx->ret);
	if (find)
		e->len = found.len;
	submit(st, e, seq);
	return 0;
}

#define SYS_EXIT(name, op)                                                                         \
	SEC("tracepoint/syscalls/sys_exit_" #name)                                                 \
	int sys_exit_##name(struct sys_exit_ctx *ctx)                                              \
	{                                                                                          \
		return on_exit(ctx, op, NR_##name, false);                                         \
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

/* With the segment's length, which no argument tells (bpf_find_vma: 5.17). */
SEC("tracepoint/syscalls/sys_exit_shmat")
int sys_exit_shmat_find(struct sys_exit_ctx *ctx)
{
	return on_exit(ctx, OP_SHMAT, NR_shmat, true);
}

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
	submit(st, e, seq);
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
		submit(st, e, 0);
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
	submit(st, e, seq);
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
		submit(st, e, 0);
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
		submit(st, e, 0);
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
	submit(st, e, 0);
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

/* The enter-exit back end, for kernels without the lock's tracepoint: what is
 * released counts from the call's beginning, what is acquired from its end,
 * in the order of the ring. Exact where threads do not race for addresses. */
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
	submit(st, e, 0);
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

char LICENSE[] SEC("license") = "Dual BSD/GPL";
