// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Keeps signal handlers out of a thread of the program while it is in a call. Cancelling
 * a thread is a signal, too, and with the asynchronous kind of it any place is one to end.
 */
#include "posix.h"

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
