#include "stress.h"
#include <sys/mman.h>

#define HEAP_PAGES 512 /* how far above its base we move the break */

int heap_lock;
static unsigned long base;

/* The heap below base is malloc's, who must not want more after this. */
void heap_init(void)
{
	base = (unsigned long)sys1(SYS_brk, 0);
	base = (base + page - 1) & -page;
	base = (unsigned long)sys1(SYS_brk, base);
}

unsigned long heap_base(void)
{
	return base;
}

/* The break belongs to the process: threads move it under a lock, unless they
 * mean to race. A part of the heap may be unmapped or protected like any other. */
void heap_op(struct worker *w, bool racing)
{
	unsigned long at = base + below(w, HEAP_PAGES) * page;
	unsigned long len = (1 + below(w, 16)) * page;
	bool locked = !racing && !w->child;

	if (locked)
		lock(&heap_lock);
	switch (below(w, 8)) {
	case 0:
		c_munmap(w, at, len);
		break;
	case 1:
		c_mprotect(w, at, len, any_prot(w), false);
		break;
	case 2:
		c_brk(w, 0); /* a question: changes nothing */
		break;
	case 3:
		c_brk(w, at + below(w, page)); /* any byte */
		break;
	case 4:
		c_brk(w, base - page * (1UL << 20)); /* below the start: refused */
		break;
	default:
		c_brk(w, at);
	}
	if (locked)
		unlock(&heap_lock);
}
