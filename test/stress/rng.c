#include "stress.h"

/* splitmix64: every state is good, so any seed is. */
uint64_t rnd(struct worker *w)
{
	uint64_t z = (w->rng += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

unsigned long below(struct worker *w, unsigned long n)
{
	return (unsigned long)(((unsigned __int128)rnd(w) * n) >> 64);
}

void seed_worker(struct worker *w, uint64_t seed, uint64_t salt)
{
	w->rng = seed + salt * 0xd1342543de82ef95ULL;
	rnd(w);
}
