#include "stress.h"
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

/* Blocks that belong to nobody just now: threads swap theirs for one of these. */
static struct {
	int lock;
	int n;
	unsigned long block[THREADS_MAX];
	struct region region[THREADS_MAX];
} pool;

void lock(int *l)
{
	while (__atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE))
		sys0(SYS_sched_yield);
}

void unlock(int *l)
{
	__atomic_store_n(l, 0, __ATOMIC_RELEASE);
}

void arena_init(struct worker *w, int n)
{
	unsigned long next = ARENA_BASE;

	for (int i = 0; i < n; i++)
		for (w[i].blocks = 0; w[i].blocks < BLOCKS_EACH; next += block_pages * page)
			w[i].block[w[i].blocks++] = next;
	for (pool.n = 0; pool.n < n; next += block_pages * page)
		pool.block[pool.n++] = next;
}

/* Hands one block and one loose region over to whoever comes next. */
void exchange(struct worker *w)
{
	unsigned long i = below(w, (unsigned)w->blocks), j, swap;

	if (w->child || !pool.n)
		return;
	j = below(w, (unsigned)pool.n);
	lock(&pool.lock);
	swap = pool.block[j];
	pool.block[j] = w->block[i];
	w->block[i] = swap;
	if (w->loose) {
		struct region r = pool.region[j];

		pool.region[j] = w->region[--w->loose];
		if (r.pages)
			w->region[w->loose++] = r;
	}
	unlock(&pool.lock);
}

/* A random range within one of w's blocks, mostly short. */
void pick(struct worker *w, unsigned long *addr, unsigned long *pages)
{
	unsigned long b = w->block[below(w, (unsigned)w->blocks)];
	unsigned long at = below(w, block_pages);
	unsigned long n = 1 + below(w, 1UL << below(w, 8));

	if (n > block_pages - at)
		n = block_pages - at;
	*addr = b + at * page;
	*pages = n;
}

int any_prot(struct worker *w)
{
	static const int common[] = {PROT_NONE, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE};

	return below(w, 2) ? common[below(w, 3)] : (int)below(w, 8);
}

/* What may be mapped into an arena: all that mprotect and mremap of several
 * areas at once either accept or refuse before they have changed anything. */
int any_kind(struct worker *w, int *fd, unsigned long *off)
{
	static const int flags[] = {0,
				    0,
				    0,
				    MAP_NORESERVE,
				    MAP_STACK,
				    MAP_POPULATE,
				    MAP_NORESERVE | MAP_STACK,
				    MAP_POPULATE | MAP_NONBLOCK};

	*fd = -1;
	*off = 0;
	switch (below(w, 16)) {
	case 0:
		return MAP_SHARED | MAP_ANONYMOUS;
	case 1:
	case 2:
		*fd = memfd;
		*off = below(w, block_pages) * page;
		return MAP_PRIVATE;
	case 3:
		*fd = memfd;
		*off = below(w, block_pages) * page;
		return MAP_SHARED;
	case 4:
		if (has_droppable)
			return MAP_DROPPABLE | MAP_ANONYMOUS;
		/* fallthrough */
	default:
		return MAP_PRIVATE | MAP_ANONYMOUS | flags[below(w, 8)];
	}
}

static void map_op(struct worker *w, unsigned long addr, unsigned long pages)
{
	unsigned long off;
	int fd, kind = any_kind(w, &fd, &off);
	long r;

	switch (below(w, 8)) {
	case 0:
	case 1: /* fails with EEXIST when anything is there */
		c_mmap(w, addr, pages * page, any_prot(w), kind | MAP_FIXED_NOREPLACE, fd, off);
		break;
	case 2: /* a hint: elsewhere when anything is there */
		if (loose_full(w))
			break;
		r = c_mmap(w, addr, pages * page, any_prot(w), kind, fd, off);
		if (!is_err(r) && (unsigned long)r != addr)
			loose_keep(w, (unsigned long)r, pages, false);
		break;
	case 3: /* a length that is no multiple of the page */
		c_mmap(w, addr, pages * page - below(w, page), any_prot(w), kind | MAP_FIXED, fd,
		       off);
		break;
	default:
		c_mmap(w, addr, pages * page, any_prot(w), kind | MAP_FIXED, fd, off);
	}
}

/* Calls that the kernel refuses, and that must change nothing. */
static void refused_op(struct worker *w, unsigned long addr, unsigned long pages)
{
	int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;

	switch (below(w, 12)) {
	case 0:
		c_munmap(w, addr + 1, page);
		break;
	case 1:
		c_munmap(w, addr, 0);
		break;
	case 2:
		c_mmap(w, addr, 0, rw, anon | MAP_FIXED, -1, 0);
		break;
	case 3:
		c_mmap(w, addr + 7, page, rw, anon | MAP_FIXED, -1, 0);
		break;
	case 4:
		c_mmap(w, 0, 1UL << 47, rw, anon, -1, 0);
		break;
	case 5:
		c_mmap(w, addr, pages * page, rw, MAP_PRIVATE | MAP_FIXED, 999, 0);
		break;
	case 6:
		c_mprotect(w, addr + 1, page, rw, false);
		break;
	case 7:
		c_mprotect(w, addr, 0, PROT_NONE, below(w, 2));
		break;
	case 8:
		c_mremap(w, addr, page, 0, MREMAP_MAYMOVE, 0);
		break;
	case 9: /* onto itself */
		c_mremap(w, addr, pages * page, pages * page, MREMAP_MAYMOVE | MREMAP_FIXED, addr);
		break;
	case 10:
		c_munmap(w, 1UL << 62, page);
		break;
	default:
		c_mremap(w, addr, page, 1UL << 47, 0, 0);
	}
}

static void advise_op(struct worker *w, unsigned long addr, unsigned long pages)
{
	static const int advice[] = {MADV_DONTNEED, MADV_DONTNEED, MADV_FREE, MADV_WILLNEED,
				     MADV_NOHUGEPAGE, 20 /* MADV_COLD */};

	if (below(w, 2))
		touch(addr);
	else
		c_madvise(w, addr, pages * page, advice[below(w, 6)]);
}

/* One random call in w's own blocks and regions. */
void owned_op(struct worker *w)
{
	unsigned long addr, pages, n = below(w, 100);

	pick(w, &addr, &pages);
	if (n < 34)
		map_op(w, addr, pages);
	else if (n < 50)
		c_munmap(w, addr, pages * page - (below(w, 8) ? 0 : below(w, page)));
	else if (n < 66)
		c_mprotect(w, addr, pages * page, any_prot(w), below(w, 4) == 0);
	else if (n < 78)
		remap_op(w);
	else if (n < 83)
		advise_op(w, addr, pages);
	else if (n < 86)
		refused_op(w, addr, pages);
	else if (n < 94)
		loose_op(w);
	else if (n < 97)
		heap_op(w, false);
	else
		exchange(w);
}
