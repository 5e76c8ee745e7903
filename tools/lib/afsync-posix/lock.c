// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The lock, and what keeps signal handlers out of the threads that may have it: our own, and
 * those of the program while they are in a call. Cancelling a thread is a signal, too, and
 * with the asynchronous kind of it any place is one to end.
 */
#include "posix.h"

pthread_mutex_t posix_lock = PTHREAD_MUTEX_INITIALIZER;

/* Those of a fault stay open: blocked, it would end a program that has an answer to it. */
static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };

void signals_block(struct mask *mask)
{
	sigset_t set;
	size_t i;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mask->cancel_state);
	sigfillset(&set);
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_BLOCK, &set, &mask->signals);
}

void signals_restore(const struct mask *mask)
{
	pthread_sigmask(SIG_SETMASK, &mask->signals, NULL);
	pthread_setcancelstate(mask->cancel_state, NULL);
}

/*
 * Starts a detached thread that blocks all signals, except those that the C library needs
 * for itself and does not allow to be blocked. As in glibc, it is scheduled as its maker.
 */
int thread_start(void *(*function)(void *arg), void *arg)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = afsync_thread_start(function, arg, PTHREAD_INHERIT_SCHED);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}
