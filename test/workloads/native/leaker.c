/* leaker [--control]: a thread that keeps a block of 1 MiB four times a second, or gives each back. The words it
 * speaks are those of Leaks.java. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK (1 << 20)

static int control;
static atomic_long leaked;
static struct timespec start;

static void later(struct timespec *t, long ms)
{
	t->tv_nsec += ms * 1000000;
	t->tv_sec += t->tv_nsec / 1000000000;
	t->tv_nsec %= 1000000000;
}

static void tell(const char *word)
{
	struct timespec now, mono;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	double s = mono.tv_sec - start.tv_sec + (mono.tv_nsec - start.tv_nsec) / 1e9 + 1e-6;
	printf("%s kind=c control=%s at_ms=%ld leaked=%ld per_hour=%.0f thread=leaker-1 category=malloc-chunk limit=0\n", word,
	       control ? "true" : "false", now.tv_sec * 1000 + now.tv_nsec / 1000000, leaked, leaked / s * 3600);
	fflush(stdout);
}

static void *leak(void *arg)
{
	struct timespec due = start;
	pthread_setname_np(pthread_self(), "leaker-1");
	for (;; later(&due, 250)) {
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
		char *p = malloc(BLOCK);
		if (p == NULL)
			exit(4);
		memset(p, 1, BLOCK);
		if (control)
			free(p);
		else
			leaked += BLOCK + 4096;
	}
	return arg;
}

static void *teller(void *arg)
{
	struct timespec due = start;
	for (;; later(&due, 1000)) {
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
		tell("truth");
	}
	return arg;
}

int main(int argc, char **argv)
{
	char line[64];
	pthread_t t;

	control = argc > 1 && strcmp(argv[1], "--control") == 0;
	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (pthread_create(&t, NULL, leak, NULL) || pthread_create(&t, NULL, teller, NULL))
		return 1;
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "stop\n") != 0)
		;
	tell("final");
	return 0;
}
