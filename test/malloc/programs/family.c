/* A parent and its child, forked with 50 blocks of 10,000 bytes in hand: each frees some of them, and has some of its
 * own. Waits for a line, its child for
 * another, prints "block PID SIZE TID" of what lives and is its own, then "sum 0 0 0". */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *inherited[50], *own[200];

static void await(void)
{
	char line[16];

	fflush(stdout);
	if (read(0, line, sizeof(line)) <= 0)
		exit(0);
}

static void work(int first, int frees, int grows)
{
	for (int i = 0; i < 200; i++)
		own[i] = malloc(20000 + first + i);
	for (int i = 0; i < 200; i++)
		if (i % 3) {
			free(own[i]);
			own[i] = NULL;
		}
	for (int i = 0; i < frees; i++) {
		free(inherited[i]);
		inherited[i] = NULL;
	}
	for (int i = 0; i < 200; i++)
		if (own[i])
			printf("block %d %d %d\n", getpid(), 20000 + first + i, getpid());
	for (int i = frees; i < frees + grows; i++) { /* from now on they are its own */
		inherited[i] = realloc(inherited[i], 30000 + i);
		printf("block %d %d %d\n", getpid(), 30000 + i, getpid());
	}
}

int main(void)
{
	int to_child[2], to_parent[2], n = 0;
	char byte = 0;

	setvbuf(stdout, NULL, _IOFBF, 512);
	puts("ready");
	await();
	for (int i = 0; i < 50; i++)
		inherited[i] = malloc(10000);
	if (pipe(to_child) || pipe(to_parent))
		abort();
	if (!fork()) {
		close(to_child[1]); /* it ends with its parent */
		await(); /* until it is followed, too: what it does before is not known */
		work(1000, 10, 20);
		fflush(stdout);
		if (write(to_parent[1], &byte, 1) != 1)
			abort();
		n = read(to_child[0], &byte, 1);
		_exit(n < 0);
	}
	close(to_child[0]);
	if (read(to_parent[0], &byte, 1) != 1)
		abort();
	work(0, 5, 3);
	for (int i = 8; i < 50; i++)
		printf("block %d 10000 %d\n", getpid(), getpid());
	puts("sum 0 0 0");
	await();
	return 0;
}
