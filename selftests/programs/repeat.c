// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a program many times, several at once, and prints how the runs ended.
 *
 *	repeat RUNS JOBS SECONDS PROGRAM...
 *
 * Prints a line for each kind of end: "20 exit 0", "1 signal 12". A run that takes longer
 * than SECONDS ends with signal 14. Exits with 0 if all runs were started.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned int exits[256], signals[128];

static int start(unsigned int seconds, char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* The timer survives the exec. */
		alarm(seconds);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid < 0 ? -1 : 0;
}

static int collect(void)
{
	int status;

	if (wait(&status) < 0)
		return -1;
	if (WIFSIGNALED(status))
		signals[WTERMSIG(status)]++;
	else
		exits[WEXITSTATUS(status)]++;
	return 0;
}

int main(int argc, char **argv)
{
	int runs, jobs, seconds, started, running = 0;

	if (argc < 5) {
		fputs("usage: repeat RUNS JOBS SECONDS PROGRAM...\n", stderr);
		return 2;
	}
	runs = atoi(argv[1]);
	jobs = atoi(argv[2]);
	seconds = atoi(argv[3]);

	for (started = 0; started < runs; started++) {
		if (running == jobs) {
			if (collect())
				return 1;
			running--;
		}
		if (start(seconds, argv + 4))
			return 1;
		running++;
	}
	for (; running; running--)
		if (collect())
			return 1;

	for (int i = 0; i < 256; i++)
		if (exits[i])
			printf("%u exit %d\n", exits[i], i);
	for (int i = 0; i < 128; i++)
		if (signals[i])
			printf("%u signal %d\n", signals[i], i);
	return 0;
}
