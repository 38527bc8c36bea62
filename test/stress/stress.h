/* Address-space stress: what the files share. See stress.c for the options. */
#ifndef STRESS_H
#define STRESS_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sys.h"

/* The arena lies far below mmap_base, far above any program and its heap: no
 * mapping but ours is ever there, and MAP_FIXED within it harms nobody. */
#define ARENA_BASE 0x1000000000UL
#define RACY_BASE 0x0f00000000UL
#define RACY_PAGES 64
#define BLOCK_PAGES_MAX 512
#define BLOCKS_EACH 4
#define LOOSE_MAX 24 /* regions of a thread that the kernel placed */
#define THREADS_MAX 32
#define CLASSES 97 /* owner mode: thread i maps lengths of i mod 97 pages */

enum mode {
	OWNED = 1 << 0,
	RACY = 1 << 1,
	FORK = 1 << 2,
	OWNER = 1 << 3,
	STORM = 1 << 4,
	SHM = 1 << 5,
	FAULT = 1 << 6,
	COMPAT = 1 << 7,
	DIE = 1 << 8,
	DIRTY = 1 << 9,
	DONTFORK = 1 << 10,
};

struct options {
	unsigned mode;
	int threads;
	int quiet;
	long calls;
	long slow_us;
	uint64_t seed;
	bool wait;
	bool self_check;
	const char *exe; /* for exec of ourselves */
};

struct region {
	unsigned long addr;
	unsigned long pages;
	bool stays; /* not to be moved into a block: an mremap of several areas could fail there */
};

/* A worker is a thread, or a child doing calls on its behalf. */
struct worker {
	int id; /* from 1: the class of its lengths in owner mode */
	int tid;
	bool child; /* a forked copy: the locks are not its */
	uint64_t rng;
	volatile long calls;
	int blocks; /* how many of block[] are owned */
	unsigned long block[BLOCKS_EACH];
	int loose;
	struct region region[LOOSE_MAX];
};

extern struct options opt;
extern unsigned long page;
extern unsigned long block_pages; /* a block belongs to one thread at a time */
extern int memfd, zerofd;
extern bool has_droppable;

/* rng.c */
uint64_t rnd(struct worker *w);
unsigned long below(struct worker *w, unsigned long n); /* 0 .. n-1 */
void seed_worker(struct worker *w, uint64_t seed, uint64_t salt);

/* calls.c: each counts one call of w and returns the kernel's answer */
long c_mmap(struct worker *w, unsigned long addr, unsigned long len, int prot, int flags, int fd,
	    unsigned long off);
long c_munmap(struct worker *w, unsigned long addr, unsigned long len);
long c_mprotect(struct worker *w, unsigned long addr, unsigned long len, int prot, bool pkey);
long c_mremap(struct worker *w, unsigned long addr, unsigned long old, unsigned long new, int flags,
	      unsigned long to);
long c_madvise(struct worker *w, unsigned long addr, unsigned long len, int advice);
unsigned long c_brk(struct worker *w, unsigned long to);
void touch(unsigned long addr);
void calls_init(void);

/* arena.c */
void arena_init(struct worker *w, int n);
void owned_op(struct worker *w);
void pick(struct worker *w, unsigned long *addr, unsigned long *pages);
int any_prot(struct worker *w);
void exchange(struct worker *w);
void lock(int *l);
void unlock(int *l);

/* remap.c */
void remap_op(struct worker *w);

/* loose.c */
void loose_op(struct worker *w);
void loose_keep(struct worker *w, unsigned long addr, unsigned long pages, bool stays);
void loose_drop_all(struct worker *w);
bool loose_full(struct worker *w);
int any_kind(struct worker *w, int *fd, unsigned long *off);

/* heap.c */
void heap_init(void);
void heap_op(struct worker *w, bool racing);
unsigned long heap_base(void);
extern int heap_lock;

/* racy.c, owner.c, shm.c, fault.c, compat.c, dirty.c */
void racy_op(struct worker *w);
void owner_op(struct worker *w);
void shm_init(void);
void shm_op(struct worker *w);
void fault_init(void);
void fault_op(struct worker *w);
bool compat_init(void);
void compat_op(struct worker *w);
void dirty_op(struct worker *w);

/* family.c: the processes we fork, each with a slot in a page we all share */
void family_init(int fd); /* fd: of the shared page, or -1 for a new one */
void family_op(struct worker *w);
void dontfork_op(struct worker *w);
void family_settle(void); /* wait until every child is parked or gone */
int family_pids(int *pids, int max);
void family_release(bool last);
int family_exec(char **argv); /* main of an exec'd child */
int slot_take(void);
bool may_park(void); /* for at most a few children at a time */
void slot_born(int slot, long pid);
void slot_park(struct worker *w, int slot);
void slot_exec(int slot, uint64_t seed, long calls);

#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* bare.c: threads and processes by clone itself, on stacks of ours */
long bare_clone(int (*fn)(void *), void *arg, int stack, int flags);
int stack_take(void);
void stack_give(int stack);
void bare_thread(struct worker *w);
void bare_sibling(struct worker *w);

/* die.c: ends inside a call */
void die_op(struct worker *w);

/* stress.c */
void some_op(struct worker *w);
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* stdout */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* stderr */

/* model.c: one entry a page, for --self-check */
extern bool model_on;
void model_mmap(unsigned long addr, unsigned long len, int prot, bool anon);
void model_munmap(unsigned long addr, unsigned long len);
void model_mprotect(unsigned long addr, unsigned long len, int prot);
void model_mremap(unsigned long addr, unsigned long old, unsigned long new, int flags,
		  unsigned long got);
long model_check(void); /* pages that differ from /proc/self/maps */

#endif
