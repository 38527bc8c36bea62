#include "stress.h"
#include <sys/mman.h>

/* A length that only this worker maps: id mod CLASSES pages, and at most max. */
static unsigned long mine(struct worker *w, unsigned long max)
{
	unsigned long steps = max < (unsigned)w->id ? 0 : (max - (unsigned)w->id) / CLASSES;

	return (unsigned)w->id + CLASSES * below(w, steps + 1);
}

/* The place of n pages in one of w's blocks. */
static unsigned long place(struct worker *w, unsigned long n)
{
	return w->block[below(w, (unsigned)w->blocks)] + below(w, block_pages - n + 1) * page;
}

static void add(struct worker *w)
{
	static const int some[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC,
				   PROT_READ | PROT_WRITE};
	unsigned long n = mine(w, block_pages);
	int anon = MAP_PRIVATE | MAP_ANONYMOUS;
	long r;

	if (loose_full(w) || below(w, 2)) {
		c_mmap(w, place(w, n), n * page, some[below(w, 4)], anon | MAP_FIXED, -1, 0);
		return;
	}
	if (below(w, 2)) {
		r = c_mmap(w, 0, n * page, some[below(w, 4)], anon, -1, 0);
	} else { /* reserve, then commit */
		r = c_mmap(w, 0, n * page, PROT_NONE, anon | MAP_NORESERVE, -1, 0);
		if (!is_err(r))
			c_mprotect(w, (unsigned long)r, n * page, PROT_READ | PROT_WRITE, false);
	}
	if (!is_err(r))
		loose_keep(w, (unsigned long)r, n, false);
}

/* The bytes beyond the old length are the caller's, and of its class. */
static void grow(struct worker *w)
{
	struct region *g;
	unsigned long n = mine(w, CLASSES * 2);
	long r;

	if (!w->loose)
		return;
	g = &w->region[below(w, (unsigned)w->loose)];
	r = c_mremap(w, g->addr, g->pages * page, (g->pages + n) * page, MREMAP_MAYMOVE, 0);
	if (!is_err(r))
		*g = (struct region){(unsigned long)r, g->pages + n, false};
}

static void cut(struct worker *w)
{
	struct region *g;
	unsigned long n, addr;

	if (!w->loose)
		return;
	g = &w->region[below(w, (unsigned)w->loose)];
	n = 1 + below(w, g->pages);
	addr = g->addr;
	if (n == g->pages) {
		*g = w->region[--w->loose];
	} else if (below(w, 2)) {
		g->addr += n * page;
		g->pages -= n;
	} else {
		g->pages -= n;
		addr += g->pages * page;
	}
	c_munmap(w, addr, n * page);
}

static void heap(struct worker *w)
{
	unsigned long now;

	lock(&heap_lock);
	now = (unsigned long)sys1(SYS_brk, 0);
	if (now > heap_base() + 4096 * page || below(w, 3) == 0)
		c_brk(w, heap_base() + below(w, (now - heap_base()) / page + 1) * page);
	else
		c_brk(w, now + mine(w, CLASSES * 2) * page);
	unlock(&heap_lock);
}

void owner_op(struct worker *w)
{
	unsigned long addr, pages, to, room;

	pick(w, &addr, &pages);
	switch (below(w, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		add(w);
		break;
	case 5:
	case 6:
		c_munmap(w, addr, pages * page);
		break;
	case 7:
	case 8:
	case 9:
		cut(w);
		break;
	case 10:
		grow(w);
		break;
	case 11: /* never to or from PROT_NONE: that would acquire bytes of any length */
		c_mprotect(w, addr, pages * page, below(w, 2) ? PROT_READ : PROT_READ | PROT_WRITE,
			   false);
		break;
	case 12: /* moved bytes keep their owner */
		pick(w, &to, &room);
		if (pages <= block_pages - (to / page) % block_pages)
			c_mremap(w, addr, pages * page, pages * page,
				 MREMAP_MAYMOVE | MREMAP_FIXED, to);
		break;
	case 13:
		heap(w);
		break;
	default:
		exchange(w);
	}
}
