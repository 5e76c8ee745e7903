/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before each program of posixtestsuite: they know POSIX of 2001 only, and
 * have nothing to do where the version is another.
 */

#include <unistd.h>

#undef _POSIX_ASYNCHRONOUS_IO
#define _POSIX_ASYNCHRONOUS_IO 200112L
