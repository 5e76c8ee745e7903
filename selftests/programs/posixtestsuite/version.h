/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before each program of posixtestsuite: they know only POSIX of 2001, and do
 * nothing with another version.
 */

#include <unistd.h>

#undef _POSIX_ASYNCHRONOUS_IO
#define _POSIX_ASYNCHRONOUS_IO 200112L
