#include "stress.h"
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define POPULATE_BYTES (64UL << 20)

static long fork_child(struct worker *w)
{
	uint64_t salt = rnd(w);
	long pid = sys5(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		w->child = true;
		seed_worker(w, w->rng, salt);
		sys2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
	}
	return pid;
}

static void spin(unsigned long n)
{
	for (volatile unsigned long i = 0; i < n; i++)
		;
}

static int populate_main(void *arg)
{
	c_mmap(arg, 0, POPULATE_BYTES, PROT_READ | PROT_WRITE,
	       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	sys1(SYS_exit, 0);
	return 0;
}

static int exec_main(void *arg)
{
	struct worker *w = arg;

	slot_exec(w->blocks, rnd(w), 200); /* blocks: lent for the slot */
	sys1(SYS_exit_group, 1);
	return 0;
}

static int calls_main(void *arg)
{
	for (;;)
		owned_op(arg);
	return 0;
}

/* A process of two threads, one of them inside a mapping call, ends by a signal
 * of its own, or by the exit of the other. */
static void killed(struct worker *w, int (*fn)(void *))
{
	static struct worker copy;
	long pid = fork_child(w);
	int stack;

	if (pid) {
		sys4(SYS_wait4, pid, 0, 0, 0);
		return;
	}
	copy = *w;
	copy.loose = 0;
	stack = stack_take();
	if (stack >= 0 && !is_err(bare_clone(fn, &copy, stack, THREAD_FLAGS)))
		spin(below(w, 1UL << (10 + below(w, 14))));
	if (below(w, 3))
		sys2(SYS_kill, sys0(SYS_getpid), below(w, 2) ? SIGKILL : SIGSEGV);
	sys1(SYS_exit_group, 0);
}

/* exec by a thread that is not the first: it takes over the first one's TID. */
static void exec_elsewhere(struct worker *w)
{
	static struct worker copy;
	int slot = slot_take(), stack;
	bool stay = below(w, 2) && may_park();
	long pid;

	if (slot < 0)
		return;
	pid = fork_child(w);
	if (pid) {
		slot_born(slot, pid);
		return;
	}
	copy = (struct worker){.blocks = stay ? slot : -1, .rng = w->rng};
	stack = stack_take();
	if (stack < 0 || is_err(bare_clone(exec_main, &copy, stack, THREAD_FLAGS)))
		sys1(SYS_exit_group, 0);
	for (;;)
		owned_op(w);
}

/* Forks that fail, some of them when the address space has been copied already. */
static void fork_refused(struct worker *w)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
			set_tid, set_tid_size;
	} args = {.exit_signal = SIGCHLD};
	int tid = (int)sys0(SYS_getpid);
	struct rlimit one = {1, 1};
	long pid;

	switch (below(w, 5)) {
	case 0: /* the number is taken: EEXIST, after the copy */
		args.set_tid = (uint64_t)(uintptr_t)&tid;
		args.set_tid_size = 1;
		pid = sys2(SYS_clone3, &args, sizeof(args));
		break;
	case 1: /* nowhere to put the descriptor: EFAULT, after the copy */
		pid = sys5(SYS_clone, SIGCHLD | CLONE_PIDFD, 0, 1, 0, 0);
		break;
	case 2: /* the same of a child that would have shared the space */
		pid = sys5(SYS_clone, SIGCHLD | CLONE_PIDFD | CLONE_VM | CLONE_VFORK, 0, 1, 0, 0);
		break;
	case 3: /* nonsense: EINVAL, before anything */
		pid = sys5(SYS_clone, CLONE_THREAD, 0, 0, 0, 0);
		break;
	default: /* too many processes: EAGAIN, in a child that is not root */
		pid = fork_child(w);
		if (pid) {
			sys4(SYS_wait4, pid, 0, 0, 0);
			return;
		}
		sys1(SYS_setgid, 65534);
		sys1(SYS_setuid, 65534);
		sys2(SYS_setrlimit, RLIMIT_NPROC, &one);
		pid = sys5(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		if (pid > 0)
			sys4(SYS_wait4, pid, 0, 0, 0);
		sys1(SYS_exit_group, 0);
	}
	if (pid == 0)
		sys1(SYS_exit_group, 0);
	if (!is_err(pid))
		sys4(SYS_wait4, pid, 0, 0, 0);
}

void die_op(struct worker *w)
{
	w->calls++;
	switch (below(w, 4)) {
	case 0:
		killed(w, populate_main);
		break;
	case 1:
		killed(w, calls_main);
		break;
	case 2:
		exec_elsewhere(w);
		break;
	default:
		fork_refused(w);
	}
}
