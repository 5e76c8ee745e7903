/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The changes that a process of the workload makes to its files. Each adds its record to the
 * history. The working folder is the process's own.
 */
#ifndef AFSYNC_CRASH_CHANGE_H
#define AFSYNC_CRASH_CHANGE_H

#include "model.h"

enum write_how { BUFFERED, MAPPED, DIRECT };

/* The files of the names, and the sectors of each file. */
extern uint32_t names[NAMES], sizes[FILES];
extern uint32_t nr_records;

void change_begin(int history_fd, uint32_t process);
void keep(struct record record);
/* A descriptor of the file of that name, to read and write. */
int open_name(uint32_t name);

void make_file(uint32_t name);
void make_folder(uint32_t name);
void remove_name(uint32_t name);
void rename_to(uint32_t from, uint32_t to);
void link_to(uint32_t from, uint32_t to);

/*
 * Sectors first to end of the open file, which has that name. MAPPED only within the file;
 * DIRECT only whole pages: @in_flight, if any, is called during that write, with a descriptor
 * that is closed afterwards.
 */
void write_sectors(uint32_t file, int fd, uint32_t name, enum write_how how, uint32_t first,
		   uint32_t end, void (*in_flight)(uint32_t file, int fd));
void truncate_to(uint32_t file, int fd, uint32_t end);
void change_mode(uint32_t file, int fd, uint32_t mode);

#endif
