// SPDX-License-Identifier: GPL-2.0-only
/*
 * After a crash: is all acknowledged data there?
 *
 *	verify FOLDER HISTORY PROCESS ACKS
 *
 * FOLDER is the process's on the filesystem that has crashed, HISTORY its list of records,
 * ACKS the number of acknowledgments before the crash. Prints what is lost; the status is
 * then 1, and 2 if the check is impossible.
 *
 * Later changes of the process may be there or not. So for each sector, size, mode and name
 * the check knows the acknowledged record, and accepts the result of that or any later one.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"

/* Of a file: the numbers of the acknowledged records. */
struct acked {
	uint32_t sectors[MAX_SECTORS];
	uint32_t size;
	uint32_t mode;
};

static struct history history;
static struct acked *acked;
static uint32_t names_acked, process;
static unsigned int lost;
/* A filesystem without a journal has to keep less. */
static bool no_journal;

#define lose(...) do { printf(__VA_ARGS__); lost++; } while (0)

static void later(uint32_t *number, uint32_t upto)
{
	if (*number < upto)
		*number = upto;
}

static void load(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	size_t i;

	if (fd < 0 || fstat(fd, &st))
		err(2, "%s", path);
	history.nr = st.st_size / sizeof(struct record);
	history.records = calloc(history.nr + 1, sizeof(struct record));
	if (read(fd, history.records, st.st_size) != st.st_size)
		err(2, "%s", path);
	close(fd);
	for (i = 0; i < history.nr; i++) {
		const struct record *r = &history.records[i];

		if (r->kind <= DID_NAME && r->file < FOLDER && history.nr_files <= r->file)
			history.nr_files = r->file + 1;
	}
	acked = calloc(history.nr_files + 1, sizeof(*acked));
}

static void acknowledge(const struct record *r)
{
	uint32_t s, f;

	switch (r->kind) {
	case ACK_DATA:
		for (s = r->first; s < r->end; s++)
			later(&acked[r->file].sectors[s], r->upto);
		break;
	case ACK_SIZE:
		later(&acked[r->file].size, r->upto);
		break;
	case ACK_MODE:
		later(&acked[r->file].mode, r->upto);
		break;
	case ACK_NAMES:
		later(&names_acked, r->upto);
		break;
	case ACK_ALL:
		later(&names_acked, r->upto);
		for (f = 0; f < history.nr_files; f++) {
			for (s = 0; s < MAX_SECTORS; s++)
				later(&acked[f].sectors[s], r->upto);
			later(&acked[f].size, r->upto);
			later(&acked[f].mode, r->upto);
		}
		break;
	}
}

/* The size of the file after the record, in sectors; @size before it. */
static uint32_t size_after(uint32_t file, uint32_t size, const struct record *r)
{
	if (r->file == file && r->kind == DID_TRUNCATE)
		return r->end;
	if (r->file == file && r->kind == DID_WRITE && size < r->end)
		return r->end;
	return size;
}

/* Can the acknowledged record or a later one have left the sector in this state? */
static bool version_is_right(uint32_t file, uint32_t place, uint32_t version)
{
	uint32_t size = 0, now = 0, i, from = acked[file].sectors[place];
	bool can_be_zero = false, right = false;

	for (i = 0; i < history.nr; i++) {
		const struct record *r = &history.records[i];

		if (i == from) {
			/*
			 * It was not in the file at that time: it may appear in any state on
			 * its way into it.
			 */
			right |= version == now;
			can_be_zero = place >= size;
		}
		if (r->file != file || (r->kind != DID_WRITE && r->kind != DID_TRUNCATE))
			continue;
		size = size_after(file, size, r);
		if (r->kind == DID_TRUNCATE && place >= r->end)
			now = 0;
		else if (r->kind == DID_WRITE && place >= r->first && place < r->end)
			now = i + 1;
		if (i >= from)
			right |= version == now;
	}
	if (from >= history.nr)
		right |= version == now;
	return right || (can_be_zero && !version);
}

/* Was the sector in the file when it was acknowledged? */
static bool was_acknowledged(uint32_t file, uint32_t place)
{
	uint32_t size = 0, i;

	for (i = 0; i < acked[file].sectors[place]; i++)
		size = size_after(file, size, &history.records[i]);
	return place < size;
}

/*
 * May the sector be half one write and half another? The kernel can write a page while
 * the process stores into it; the sync of that store is then not acknowledged.
 */
static bool may_be_torn(uint32_t file, uint32_t place)
{
	uint32_t i;

	for (i = acked[file].sectors[place]; i < history.nr; i++) {
		const struct record *r = &history.records[i];

		if (r->kind == DID_WRITE && r->file == file && place >= r->first &&
		    place < r->end)
			return true;
	}
	return false;
}

/* The sizes from the acknowledged one on; between them a file can grow in steps. */
static void size_range(uint32_t file, uint32_t *least, uint32_t *most)
{
	uint32_t size = 0, i;

	*least = UINT32_MAX;
	*most = 0;
	for (i = 0; i <= history.nr; i++) {
		if (i >= acked[file].size) {
			*least = *least < size ? *least : size;
			*most = *most > size ? *most : size;
		}
		if (i < history.nr)
			size = size_after(file, size, &history.records[i]);
	}
}

static bool mode_is_right(uint32_t file, uint32_t mode)
{
	uint32_t now = 0600, i;
	bool right = false;

	for (i = 0; i <= history.nr; i++) {
		if (i >= acked[file].mode)
			right |= mode == now;
		if (i < history.nr && history.records[i].kind == DID_CHMOD &&
		    history.records[i].file == file)
			now = history.records[i].end;
	}
	return right;
}

static void lose_torn(const char *path, uint32_t file, uint32_t place)
{
	if (!may_be_torn(file, place))
		lose("%s: sector %u is torn, or no process wrote it\n", path, place);
}

/* The file that the sectors name; NO_FILE if they name none. */
static uint32_t whose(int fd)
{
	struct sector_id id;
	char buf[SECTOR];
	uint32_t place;

	for (place = 0; pread(fd, buf, SECTOR, (off_t)place * SECTOR) == SECTOR; place++)
		if (sector_read(buf, &id) && id.version)
			return id.file;
	return NO_FILE;
}

static void check_contents(const char *path, int fd, uint32_t file)
{
	uint32_t place, least, most, sectors;
	struct sector_id id;
	char buf[SECTOR];
	struct stat st;

	if (fstat(fd, &st))
		err(2, "%s", path);
	size_range(file, &least, &most);
	sectors = st.st_size / SECTOR;
	if (st.st_size % SECTOR || sectors < least || sectors > most)
		lose("%s: %jd bytes, expected %u to %u sectors\n", path, (intmax_t)st.st_size,
		     least, most);
	if (!no_journal && !mode_is_right(file, st.st_mode & 07777))
		lose("%s: mode %o\n", path, st.st_mode & 07777);
	for (place = 0; place < sectors && place < MAX_SECTORS; place++) {
		/* Without a journal a file may be longer than its data on the disk. */
		if (no_journal && !was_acknowledged(file, place))
			continue;
		if (pread(fd, buf, SECTOR, (off_t)place * SECTOR) != SECTOR)
			lose("%s: sector %u cannot be read: %s\n", path, place, strerror(errno));
		else if (!sector_read(buf, &id))
			lose_torn(path, file, place);
		else if (id.version &&
			 (id.process != process || id.file != file || id.place != place))
			lose("%s: sector %u is of process %u, file %u, sector %u\n", path, place,
			     id.process, id.file, id.place);
		else if (!version_is_right(file, place, id.version))
			lose("%s: sector %u is of record %u, acknowledged was %u\n", path, place,
			     id.version, acked[file].sectors[place]);
	}
}

/* A file that may have this name now; for one whose contents do not identify it. */
static bool name_may_be(uint32_t name, uint32_t file)
{
	uint32_t now = NO_FILE, i;
	bool may = false;

	for (i = 0; i <= history.nr; i++) {
		if (i >= names_acked)
			may |= now == file;
		if (i < history.nr && history.records[i].kind == DID_NAME &&
		    history.records[i].name == name)
			now = history.records[i].file;
	}
	return may;
}

static void check_name(const char *folder, uint32_t name)
{
	uint32_t file, least, most;
	char path[4096];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/n%u", folder, name);
	if (lstat(path, &st)) {
		if (no_journal)
			return;
		if (errno != ENOENT)
			lose("%s: %s\n", path, strerror(errno));
		else if (!name_may_be(name, NO_FILE))
			lose("%s: is not there\n", path);
		return;
	}
	if (S_ISDIR(st.st_mode)) {
		if (!name_may_be(name, FOLDER))
			lose("%s: is a folder\n", path);
		return;
	}
	fd = open(path, O_RDONLY);
	if (fd < 0) {
		lose("%s: %s\n", path, strerror(errno));
		return;
	}
	file = whose(fd);
	if (file == NO_FILE) {
		/* At least one of the possible files may be as empty as this one. */
		for (file = 0; file < history.nr_files; file++) {
			size_range(file, &least, &most);
			if (name_may_be(name, file) && st.st_size / SECTOR >= least &&
			    st.st_size / SECTOR <= most)
				break;
		}
		if (file == history.nr_files)
			lose("%s: %jd bytes of no file\n", path, (intmax_t)st.st_size);
		else
			check_contents(path, fd, file);
	} else if (file >= history.nr_files || !name_may_be(name, file)) {
		lose("%s: is file %u\n", path, file);
	} else {
		check_contents(path, fd, file);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	uint32_t i, acks;

	if (argc != 5)
		errx(2, "usage: verify FOLDER HISTORY PROCESS ACKS");
	load(argv[2]);
	process = strtoul(argv[3], NULL, 10);
	acks = strtoul(argv[4], NULL, 10);
	no_journal = getenv("NO_JOURNAL");
	for (i = 0; i < history.nr; i++)
		if (history.records[i].kind >= ACK_DATA && history.records[i].ack <= acks)
			acknowledge(&history.records[i]);
	for (i = 0; i < NAMES; i++)
		check_name(argv[1], i);
	return lost != 0;
}
