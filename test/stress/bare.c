#include "stress.h"
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define STACKS 16
#define STACK_BYTES (64 << 10)
#define SIBLING_BASE 0x0e00000000UL

/* Stacks of ours: no malloc and no mmap stands behind a bare thread. A sibling
 * has a worker and a block of its own beside its stack. */
static char stacks[STACKS][STACK_BYTES] __attribute__((aligned(4096)));
static int taken[STACKS], alive[STACKS];
static struct worker guest[STACKS];
static int guest_slot[STACKS];
static bool guest_stays[STACKS];

int stack_take(void)
{
	for (int i = 0; i < STACKS; i++)
		if (!__atomic_exchange_n(&taken[i], 1, __ATOMIC_ACQUIRE))
			return i;
	return -1;
}

void stack_give(int i)
{
	__atomic_store_n(&taken[i], 0, __ATOMIC_RELEASE);
}

/* fn runs on the caller's TLS: it must make raw calls only. At the very end of
 * a thread the kernel clears alive[stack], and its maker gives the stack back;
 * at that of a process it clears taken[stack]. */
long bare_clone(int (*fn)(void *), void *arg, int stack, int flags)
{
	alive[stack] = 1;
	return clone(fn, stacks[stack] + STACK_BYTES, flags | CLONE_CHILD_CLEARTID, arg, NULL, NULL,
		     flags & CLONE_THREAD ? &alive[stack] : &taken[stack]);
}

static int guest_main(void *arg)
{
	struct worker *w = arg;

	for (unsigned long n = below(w, 100); n; n--)
		owned_op(w);
	loose_drop_all(w);
	sys1(SYS_exit, 0);
	return 0;
}

static struct worker *guest_of(struct worker *w, int stack)
{
	struct worker *g = &guest[stack];

	*g = (struct worker){.id = w->id, .child = true, .blocks = 1};
	g->block[0] = SIBLING_BASE + (unsigned)stack * block_pages * page;
	seed_worker(g, rnd(w), 1);
	return g;
}

/* A thread that lives for a few calls; its mappings outlive it. */
void bare_thread(struct worker *w)
{
	int stack = stack_take();

	if (stack < 0)
		return;
	if (bare_clone(guest_main, guest_of(w, stack), stack, THREAD_FLAGS) > 0)
		while (__atomic_load_n(&alive[stack], __ATOMIC_ACQUIRE))
			sys4(SYS_futex, &alive[stack], FUTEX_WAIT, 1, 0);
	stack_give(stack);
}

static int sibling_main(void *arg)
{
	struct worker *w = arg;
	int slot = guest_slot[w - guest];
	bool stay = guest_stays[w - guest];

	sys2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned long n = below(w, 200); n; n--)
		owned_op(w);
	if (stay)
		slot_park(w, slot);
	loose_drop_all(w);
	sys1(SYS_exit_group, 0);
	return 0;
}

/* Another process, in the same address space, at the same time. */
void bare_sibling(struct worker *w)
{
	int slot = slot_take(), stack;
	long pid;

	if (slot < 0)
		return;
	stack = stack_take();
	if (stack < 0) {
		slot_born(slot, -11);
		return;
	}
	guest_slot[stack] = slot;
	guest_stays[stack] = below(w, 2) && may_park();
	pid = bare_clone(sibling_main, guest_of(w, stack), stack, CLONE_VM | SIGCHLD);
	if (pid < 0)
		stack_give(stack);
	slot_born(slot, pid < 0 ? -11 : pid);
}
