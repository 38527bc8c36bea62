#include "stress.h"
#include <sys/mman.h>

/* Loose regions: the kernel chose their place, so no hole may be left in one
 * that its thread still thinks its own: another thread's mmap may land there. */

#define BIG_PAGES 128

void loose_keep(struct worker *w, unsigned long addr, unsigned long pages, bool stays)
{
	if (pages && w->loose < LOOSE_MAX)
		w->region[w->loose++] = (struct region){addr, pages, stays};
}

bool loose_full(struct worker *w)
{
	return w->loose >= LOOSE_MAX;
}

static void forget(struct worker *w, int i)
{
	w->region[i] = w->region[--w->loose];
}

void loose_drop_all(struct worker *w)
{
	for (; w->loose; w->loose--)
		c_munmap(w, w->region[w->loose - 1].addr, w->region[w->loose - 1].pages * page);
}

static void add(struct worker *w)
{
	unsigned long off, pages = 1 + below(w, 1UL << below(w, 8));
	int fd, kind = any_kind(w, &fd, &off);
	long r;

	switch (below(w, 8)) {
	case 0: /* backed by a device that maps zeroes */
		kind = MAP_PRIVATE;
		fd = zerofd;
		off = 0;
		break;
#ifdef MAP_32BIT
	case 1:
		kind |= MAP_32BIT;
		break;
#endif
	case 2: /* huge pages, of which there may be none */
		if (below(w, 8) == 0) {
			r = c_mmap(w, 0, page, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
			if (!is_err(r))
				c_munmap(w, (unsigned long)r, 2UL << 20);
			return;
		}
		break;
	}
	r = c_mmap(w, 0, pages * page, any_prot(w), kind, fd, off);
	if (!is_err(r))
		loose_keep(w, (unsigned long)r, pages, fd == zerofd);
}

static void cut(struct worker *w, int i)
{
	struct region *g = &w->region[i];
	unsigned long n = 1 + below(w, g->pages), at = below(w, g->pages - n + 1);
	unsigned long addr = g->addr, tail = g->pages - at - n;

	if (at && tail && loose_full(w)) {
		n += tail;
		tail = 0;
	}
	/* The record goes first: once unmapped, the place may be anyone's. */
	g->pages = at;
	if (tail)
		loose_keep(w, addr + (at + n) * page, tail, g->stays);
	if (!at)
		forget(w, i);
	c_munmap(w, addr + at * page, n * page);
}

static void resize(struct worker *w, int i)
{
	struct region *g = &w->region[i];
	unsigned long new = 1 + below(w, BIG_PAGES);
	long r;

	r = c_mremap(w, g->addr, g->pages * page, new * page, below(w, 2) ? MREMAP_MAYMOVE : 0, 0);
	if (!is_err(r))
		*g = (struct region){(unsigned long)r, new, g->stays};
}

/* Into one of the thread's own blocks. */
static void home(struct worker *w, int i)
{
	struct region g = w->region[i];
	unsigned long to, room;

	pick(w, &to, &room);
	room = block_pages - (to / page) % block_pages;
	if (g.stays || g.pages > room)
		return;
	if (!is_err(c_mremap(w, g.addr, g.pages * page, g.pages * page,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to)))
		forget(w, i);
}

void loose_op(struct worker *w)
{
	unsigned long n = below(w, 16);
	int i;

	if (!w->loose || (n < 6 && !loose_full(w))) {
		add(w);
		return;
	}
	i = (int)below(w, (unsigned)w->loose);
	if (n < 10)
		cut(w, i);
	else if (n < 12)
		resize(w, i);
	else if (n < 13)
		home(w, i);
	else if (n < 15)
		c_mprotect(w, w->region[i].addr, w->region[i].pages * page, any_prot(w), false);
	else
		touch(w->region[i].addr);
}
