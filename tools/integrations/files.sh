# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Makes many small files, and lists the ones that are there. Sourced.

# write_files ROOT VERSION N: so many files below ROOT/usr/share/many. The second version has the
# same paths as the first; contents, sizes, modes and times of all of them differ. Sizes are 100
# bytes to 10 kB. A few files have a second name, as a hard link.
write_files() {
	local d files=$3
	for ((d = 0; d <= files / 50; d++)); do mkdir -p "$1/usr/share/many/$d"; done
	# No two lines of all files of both versions are the same.
	awk -v root="$1/usr/share/many" -v version="$2" -v files="$files" 'BEGIN {
		srand(version)
		for (i = 0; i < files; i++) {
			path = root "/" int(i / 50) "/file-" i
			lines = int(exp(rand() * 4.6)) + 1
			for (line = 0; line < lines; line++)
				printf "version %d of file %d, line %d: %.12f %.12f %.12f\n", version, i,
					line, rand(), rand(), rand() >path
			close(path)
		}
	}'
	for ((d = 0; d < files; d += 500)); do
		ln "$1/usr/share/many/$((d / 50))/file-$d" "$1/usr/share/many/$((d / 50))/link-$d"
	done
	find "$1/usr" -type f -exec chmod "64$((8 - 4 * $2))" {} + \
		-exec touch -d "@$((1600000000 + $2 * 100000))" {} +
}

# list_files ROOT FOLDER: "path checksum mode mtime" of each file below, except those that
# dpkg left unfinished, in a fixed order.
list_files() {
	local tmp
	tmp=$(mktemp)
	(
		cd "$1" || exit
		find "$2" -type f ! -name '*.dpkg-*' -printf '%p %m %Ts\n' | LC_ALL=C sort >"$tmp"
		cut -d ' ' -f 1 "$tmp" | xargs -r md5sum | cut -d ' ' -f 1 | paste -d ' ' "$tmp" - |
			awk '{ print $1, $4, $2, $3 }'
	)
	rm -f "$tmp"
}
