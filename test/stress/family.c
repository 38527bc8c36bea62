#include "stress.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 64
#define PARKED_MAX 5 /* children that live on to the next quiet point */

enum state { FREE, RUNNING, PARKED, GO, END };

/* The page that all processes share, across exec too. */
static struct control {
	struct slot {
		int state; /* a futex */
		int pid;
	} slot[SLOTS];
	int last; /* no child starts another stint */
} *control;
static int control_fd;
static int parking;

void family_init(int fd)
{
	control_fd = fd >= 0 ? fd : memfd_create("family", 0);
	if (fd < 0 && ftruncate(control_fd, (off_t)page) < 0)
		note("no page to share");
	control = (struct control *)sys6(SYS_mmap, 0, (long)page, PROT_READ | PROT_WRITE,
					 MAP_SHARED, control_fd, 0);
}

int slot_take(void)
{
	for (int i = 0; i < SLOTS; i++) {
		int was = FREE;

		if (__atomic_compare_exchange_n(&control->slot[i].state, &was, RUNNING, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return i;
	}
	return -1;
}

/* In the parent, right after the fork: pid, or the error that gives the slot back. */
void slot_born(int slot, long pid)
{
	if (is_err(pid))
		__atomic_store_n(&control->slot[slot].state, FREE, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&control->slot[slot].pid, (int)pid, __ATOMIC_RELEASE);
}

/* In the child: stand still until the parent's quiet point is over. */
static bool park(int slot)
{
	int *state = &control->slot[slot].state;

	__atomic_store_n(state, PARKED, __ATOMIC_RELEASE);
	while (__atomic_load_n(state, __ATOMIC_ACQUIRE) == PARKED)
		sys4(SYS_futex, state, FUTEX_WAIT, PARKED, 0);
	if (__atomic_load_n(state, __ATOMIC_ACQUIRE) == END)
		return false;
	__atomic_store_n(state, RUNNING, __ATOMIC_RELEASE);
	return true;
}

static void stint(struct worker *w, unsigned long calls)
{
	for (; calls; calls--)
		owned_op(w);
}

/* Parks at every quiet point, with a few calls in between, and ends some day. */
void slot_park(struct worker *w, int slot)
{
	while (park(slot) && below(w, 3))
		stint(w, 50 + below(w, 200));
}

void slot_exec(int slot, uint64_t seed, long calls)
{
	char text[4][24];
	char *argv[] = {"stress-child", "--child", text[0], text[1], text[2], text[3], NULL};

	snprintf(text[0], sizeof(text[0]), "%d", control_fd);
	snprintf(text[1], sizeof(text[1]), "%d", slot);
	snprintf(text[2], sizeof(text[2]), "%llu", (unsigned long long)seed);
	snprintf(text[3], sizeof(text[3]), "%ld", calls);
	sys3(SYS_execve, "/proc/self/exe", argv, argv + 6);
}

/* argv: "--child" FD SLOT SEED CALLS; SLOT -1: do not park. */
int family_exec(char **argv)
{
	static struct worker w = {.id = 1};

	block_pages = 64;
	calls_init();
	heap_init();
	family_init(atoi(argv[1]));
	arena_init(&w, 1);
	seed_worker(&w, strtoull(argv[3], NULL, 10), 7);
	w.child = true;
	stint(&w, strtoul(argv[4], NULL, 10));
	if (atoi(argv[2]) >= 0)
		slot_park(&w, atoi(argv[2]));
	return 0;
}

bool may_park(void)
{
	return __atomic_add_fetch(&parking, 1, __ATOMIC_RELAXED) <= PARKED_MAX;
}

static long fork_by(struct worker *w)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = {.exit_signal = SIGCHLD};

	switch (below(w, 3)) {
	case 0:
		return sys2(SYS_clone3, &args, sizeof(args));
#ifdef SYS_fork
	case 1:
		return sys0(SYS_fork);
#endif
	default:
		return sys5(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	}
}

static void become_child(struct worker *w, uint64_t salt)
{
	w->child = true;
	seed_worker(w, w->rng, salt);
	sys2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
}

static void fork_op(struct worker *w, bool exec, bool stay)
{
	uint64_t salt = rnd(w);
	int slot = slot_take();
	long pid, grandchild;

	if (slot < 0)
		return;
	stay = stay && may_park();
	pid = fork_by(w);
	if (pid) {
		slot_born(slot, pid);
		return;
	}
	become_child(w, salt);
	stint(w, below(w, 200));
	if (below(w, 8) == 0) {
		grandchild = fork_by(w);
		if (grandchild == 0) {
			become_child(w, salt + 1);
			stint(w, below(w, 100));
			sys1(SYS_exit_group, 0);
		}
		sys4(SYS_wait4, grandchild, 0, 0, 0);
	}
	if (exec)
		slot_exec(stay ? slot : -1, salt, 200);
	else if (stay)
		slot_park(w, slot);
	sys1(SYS_exit_group, 0);
}

/* The child of a vfork works in our space; w is as good as its own meanwhile. */
static __attribute__((noinline)) void vfork_op(struct worker *w, bool exec, bool stay)
{
	uint64_t salt = rnd(w);
	volatile int slot = slot_take(), parks = -1;
	pid_t pid;

	if (slot < 0)
		return;
	if (stay && may_park())
		parks = slot;
	pid = vfork();
	if (pid == 0) {
		sys2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
		stint(w, below(w, 50));
		if (exec)
			slot_exec(parks, salt, 200);
		_exit(0);
	}
	slot_born(slot, pid < 0 ? -11 : pid);
}

void family_op(struct worker *w)
{
	unsigned long n = below(w, 14);
	bool stay = below(w, 2);

	if (w->child)
		return;
	w->calls++;
	if (n < 6)
		fork_op(w, false, stay);
	else if (n < 8)
		fork_op(w, true, stay);
	else if (n < 10)
		vfork_op(w, false, false);
	else if (n < 11)
		vfork_op(w, true, stay);
	else if (n < 12)
		bare_thread(w);
	else
		bare_sibling(w);
}

/* Areas that a child does not inherit. */
void dontfork_op(struct worker *w)
{
	unsigned long addr, pages;

	pick(w, &addr, &pages);
	c_madvise(w, addr, pages * page, below(w, 3) ? MADV_DONTFORK : MADV_DOFORK);
	if (!w->child && below(w, 100) == 0)
		fork_op(w, false, true);
}

/* All threads of ours stand still. A child is over when it is parked or reaped. */
void family_settle(void)
{
	for (int i = 0; i < SLOTS; i++) {
		struct slot *s = &control->slot[i];

		while (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == RUNNING) {
			if (sys4(SYS_wait4, s->pid, 0, WNOHANG, 0) == s->pid) {
				s->pid = 0;
				__atomic_store_n(&s->state, FREE, __ATOMIC_RELEASE);
			} else {
				usleep(500);
			}
		}
	}
}

int family_pids(int *pids, int max)
{
	int n = 0;

	for (int i = 0; i < SLOTS && n < max; i++)
		if (control->slot[i].state == PARKED)
			pids[n++] = control->slot[i].pid;
	parking = n;
	return n;
}

void family_release(bool last)
{
	for (int i = 0; i < SLOTS; i++) {
		struct slot *s = &control->slot[i];

		if (s->state != PARKED)
			continue;
		s->state = last ? END : GO;
		sys4(SYS_futex, &s->state, FUTEX_WAKE, 1, 0);
		if (last)
			sys4(SYS_wait4, s->pid, 0, 0, 0);
	}
}
