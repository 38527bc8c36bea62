#include "stress.h"
#include <string.h>
#include <sys/mman.h>

/* Mappings that change without a mapping call: the kernel extends them downwards
 * when something below is touched. */

#define FAULT_BASE 0x0d00000000UL
#define SPAN 2048 /* pages that belong to one worker */

static unsigned long top[THREADS_MAX + 1];

static void map_down(struct worker *w)
{
	unsigned long end = FAULT_BASE + (unsigned)w->id * SPAN * page;

	c_munmap(w, end - (SPAN / 2) * page, SPAN / 2 * page);
	if (is_err(c_mmap(w, end - 4 * page, 4 * page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0)))
		return;
	top[w->id] = end - 4 * page; /* the lowest mapped address, at least */
}

static void grow(struct worker *w)
{
	unsigned long end = FAULT_BASE + (unsigned)w->id * SPAN * page, addr;

	if (!top[w->id] || end - top[w->id] > SPAN / 4 * page) {
		map_down(w);
		return;
	}
	addr = top[w->id] - (1 + below(w, 16)) * page;
	if (below(w, 4))
		*(volatile char *)addr = 1;
	else
		touch(addr); /* the kernel's own store faults too */
	top[w->id] = addr;
}

/* Uses about depth pages of stack; returns the lowest address used. */
static __attribute__((noinline)) unsigned long dig(int depth)
{
	volatile char room[4096];
	unsigned long low;

	room[0] = (char)depth;
	low = depth ? dig(depth - 1) : (unsigned long)room;
	return room[0] == (char)depth ? low : 0;
}

/* Extends the main thread's stack, then gives a part of it, far below all
 * frames in use, another protection: that part loses its name in /proc. */
static void stack(struct worker *w)
{
	unsigned long low = (dig(16 + (int)below(w, 800)) & -page) + page;
	unsigned long n = 1 + below(w, 8);

	c_mprotect(w, low, n * page, PROT_READ, false);
	c_mprotect(w, low, n * page,
		   PROT_READ | PROT_WRITE | (below(w, 2) ? PROT_EXEC : 0), false);
}

void fault_op(struct worker *w)
{
	if (w->id == 1 && !w->child && below(w, 8) == 0) {
		stack(w);
		return;
	}
	w->calls++;
	if (below(w, 16) == 0)
		map_down(w);
	else
		grow(w);
}
