#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make two versions of a package of many small files, for guest.sh.
#
#	tools/integrations/dpkg/packages.sh FOLDER FILES [OPTION-OF-DPKG-DEB]...
#
# Makes FOLDER/1.deb, FOLDER/2.deb, and FOLDER/1.list, FOLDER/2.list, which have "path checksum
# mode mtime" of each file. The second version has the same paths as the first; contents, sizes,
# modes and times of all of them differ. Sizes are 100 bytes to 10 kB. A few files have a second
# name, as a hard link.

. "$(dirname "$0")/../../../scripts/lib.sh"
. "$TOP/tools/integrations/dpkg/list.sh"

DIR=$1 FILES=$2
shift 2
OPTIONS=("$@")
ME=packages

# write_files ROOT VERSION: no two lines of all files of both versions are the same.
write_files() {
	local d
	for ((d = 0; d <= FILES / 50; d++)); do mkdir -p "$1/usr/share/many/$d"; done
	awk -v root="$1/usr/share/many" -v version="$2" -v files="$FILES" 'BEGIN {
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
	for ((d = 0; d < FILES; d += 500)); do
		ln "$1/usr/share/many/$((d / 50))/file-$d" "$1/usr/share/many/$((d / 50))/link-$d"
	done
	find "$1/usr" -type f -exec chmod "64$((8 - 4 * $2))" {} + \
		-exec touch -d "@$((1600000000 + $2 * 100000))" {} +
}

make_package() {
	local root=$DIR/$1
	mkdir -p "$root/DEBIAN"
	write_files "$root" "$1"
	cat >"$root/DEBIAN/control" <<-END
	Package: many-files
	Version: $1
	Architecture: all
	Maintainer: afsync <afsync@localhost>
	Description: many small files, to see how long they take
	END
	(cd "$root" && find usr -type f -exec md5sum {} +) >"$DIR/md5sums"
	mv "$DIR/md5sums" "$root/DEBIAN/md5sums"
	SOURCE_DATE_EPOCH=1700000000 dpkg-deb --root-owner-group ${OPTIONS[@]+"${OPTIONS[@]}"} -b "$root" "$DIR/$1.deb" >/dev/null
	list_files "$root" usr >"$DIR/$1.list"
	rm -rf "$root"
}

mkdir -p "$DIR"
rm -rf "${DIR:?}"/{1,2,stamp}
make_package 1
make_package 2
echo "$FILES ${OPTIONS[*]}" >"$DIR/stamp"
