// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads from an ELF program whether libraries can be loaded into it: its
 * machine, its interpreter (the dynamic linker), and the sanitizer that it was built
 * with. Files are untrusted: every size and offset
 * is bounded, and parts that cannot be read count as missing.
 */
#include <elf.h>
#include <endian.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "afsync.h"

#define NATIVE_CLASS	(sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)
#define NATIVE_DATA	(htole16(1) == 1 ? ELFDATA2LSB : ELFDATA2MSB)

/* As <link.h> has them for this machine. */
#define Elf_Ehdr	ElfW(Ehdr)
#define Elf_Phdr	ElfW(Phdr)
#define Elf_Dyn		ElfW(Dyn)

#define MAX_SEGMENTS	512
#define MAX_DYNAMIC	4096
#define MAX_STRINGS	(64U << 20)
#define CHUNK		65536

/*
 * Strings of the dynamic symbol table: libraries that are needed, and the function by
 * which a runtime that is linked statically is begun, as clang links it.
 */
#define LIBRARY(name)	"\0" name, sizeof("\0" name) - 1
#define SYMBOL(name)	"\0" name, sizeof("\0" name)

static const struct marker {
	const char *text;
	size_t length;
	const char *sanitizer;
} markers[] = {
	{ SYMBOL("__asan_init"),		"AddressSanitizer" },
	{ LIBRARY("libasan.so"),		"AddressSanitizer" },
	{ LIBRARY("libclang_rt.asan"),		"AddressSanitizer" },
	{ SYMBOL("__hwasan_init"),		"HWAddressSanitizer" },
	{ LIBRARY("libhwasan.so"),		"HWAddressSanitizer" },
	{ SYMBOL("__tsan_init"),		"ThreadSanitizer" },
	{ LIBRARY("libtsan.so"),		"ThreadSanitizer" },
	{ LIBRARY("libclang_rt.tsan"),		"ThreadSanitizer" },
	{ SYMBOL("__msan_init"),		"MemorySanitizer" },
};

#define MARKER_MAX	32	/* no shorter than any of them */

struct elf {
	int fd;
	Elf_Phdr *segments;
	size_t nr_segments;
};

static bool read_at(int fd, void *buf, size_t size, uint64_t offset)
{
	return offset <= LONG_MAX &&
	       pread(fd, buf, size, (off_t)offset) == (ssize_t)size;
}

static const Elf_Phdr *segment(const struct elf *elf, uint32_t type)
{
	size_t i;

	for (i = 0; i < elf->nr_segments; i++)
		if (elf->segments[i].p_type == type)
			return &elf->segments[i];
	return NULL;
}

/* Where in the file @size bytes at @address are. */
static bool file_offset(const struct elf *elf, uint64_t address, uint64_t size,
			uint64_t *offset)
{
	const Elf_Phdr *s = elf->segments;
	size_t i;

	for (i = 0; i < elf->nr_segments; i++, s++) {
		if (s->p_type != PT_LOAD || address < s->p_vaddr ||
		    address - s->p_vaddr > s->p_filesz ||
		    size > s->p_filesz - (address - s->p_vaddr))
			continue;
		*offset = s->p_offset + (address - s->p_vaddr);
		return true;
	}
	return false;
}

static void read_interpreter(const struct elf *elf, struct elf_facts *facts)
{
	const Elf_Phdr *s = segment(elf, PT_INTERP);

	if (!s)
		return;
	facts->has_interpreter = true;
	if (s->p_filesz < 2 || s->p_filesz > sizeof(facts->interpreter) ||
	    !read_at(elf->fd, facts->interpreter, s->p_filesz, s->p_offset) ||
	    facts->interpreter[s->p_filesz - 1])
		facts->interpreter[0] = '\0';
}

/* The table of strings of the dynamic symbol table. */
static bool find_strings(const struct elf *elf, uint64_t *offset, uint64_t *size)
{
	const Elf_Phdr *s = segment(elf, PT_DYNAMIC);
	uint64_t address = 0;
	Elf_Dyn entry;
	size_t i;

	*size = 0;
	for (i = 0; s && i < MAX_DYNAMIC && (i + 1) * sizeof(entry) <= s->p_filesz; i++) {
		if (!read_at(elf->fd, &entry, sizeof(entry), s->p_offset + i * sizeof(entry)) ||
		    entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_STRTAB)
			address = entry.d_un.d_ptr;
		else if (entry.d_tag == DT_STRSZ)
			*size = entry.d_un.d_val;
	}
	return address && *size && *size <= MAX_STRINGS &&
	       file_offset(elf, address, *size, offset);
}

/* Reads chunk after chunk, each with the end of the one before in front of it. */
static void find_sanitizer(const struct elf *elf, struct elf_facts *facts)
{
	char *buf = malloc(MARKER_MAX + CHUNK);
	uint64_t offset, left;
	size_t kept = 0, n, i;

	if (!buf || !find_strings(elf, &offset, &left))
		goto out;
	for (; left && !facts->sanitizer; left -= n, offset += n) {
		n = left < CHUNK ? (size_t)left : CHUNK;
		if (!read_at(elf->fd, buf + kept, n, offset))
			break;
		n += kept;
		for (i = 0; i < ARRAY_SIZE(markers) && !facts->sanitizer; i++)
			if (memmem(buf, n, markers[i].text, markers[i].length))
				facts->sanitizer = markers[i].sanitizer;
		n -= kept;
		kept += n;
		if (kept > MARKER_MAX) {
			memmove(buf, buf + kept - MARKER_MAX, MARKER_MAX);
			kept = MARKER_MAX;
		}
	}
out:
	free(buf);
}

/* Returns false if it is no ELF program, or cannot be read. */
bool elf_read(int fd, struct elf_facts *facts)
{
	struct elf elf = { .fd = fd };
	Elf_Ehdr head;

	memset(facts, 0, sizeof(*facts));
	if (!read_at(fd, &head, sizeof(head), 0) || memcmp(head.e_ident, ELFMAG, SELFMAG))
		return false;
	facts->class = head.e_ident[EI_CLASS];
	facts->data = head.e_ident[EI_DATA];
	/* At the same place in both classes. */
	facts->machine = head.e_machine;
	facts->native = facts->class == NATIVE_CLASS && facts->data == NATIVE_DATA;
	if (!facts->native)
		return true;
	if ((head.e_type != ET_EXEC && head.e_type != ET_DYN) || !head.e_phnum ||
	    head.e_phnum > MAX_SEGMENTS || head.e_phentsize != sizeof(*elf.segments))
		return false;
	elf.nr_segments = head.e_phnum;
	elf.segments = calloc(elf.nr_segments, sizeof(*elf.segments));
	if (!elf.segments ||
	    !read_at(fd, elf.segments, elf.nr_segments * sizeof(*elf.segments), head.e_phoff)) {
		free(elf.segments);
		return false;
	}
	read_interpreter(&elf, facts);
	find_sanitizer(&elf, facts);
	free(elf.segments);
	return true;
}
