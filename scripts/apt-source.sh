# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sources of Debian's packages, fetched into the cache. Sourced after lib.sh.
#
# The machine's own lists and sources of apt stay unchanged: these functions keep their
# own in the cache. The packages are checked with Debian's archive key.

apt_dir=$CACHE/apt-source

# The mirrors of the machine have sources, too.
sources_list() {
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk '$1 == "Debian" && $4 == "main" && !seen[$0]++ {
			print "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " $2, $3, $4 }'
}

# our_apt TOOL ARG...: runs TOOL with the lists and caches of this script.
our_apt() {
	local tool=$1
	shift
	"$tool" -q "${APT[@]}" -o "Dir::Etc::SourceList=$apt_dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o "Dir::State=$apt_dir/state" -o "Dir::State::status=/var/lib/dpkg/status" \
		-o "Dir::Cache=$apt_dir/cache" -o APT::Sandbox::User= "$@"
}

# Until end_fetching, sources can be fetched.
begin_fetching() {
	mkdir -p "$apt_dir/state/lists/partial" "$apt_dir/cache/archives/partial"
	sources_list >"$apt_dir/sources.list"
	[ -s "$apt_dir/sources.list" ] || die "apt has no mirror of Debian here: see sources.list(5)"
	our_apt apt-get update >&2
}

# fetch_source PACKAGE [RELEASE|=VERSION]: unpacked, with Debian's patches. Sets fetched, its
# directory; the caller moves it away.
fetch_source() {
	local new=$apt_dir/new which=${2:-}
	[[ -z $which || $which = =* ]] || which=/$which
	rm -rf "$new"
	mkdir -p "$new"
	(cd "$new" && our_apt apt-get source "$1$which") >"$apt_dir/$1.log" 2>&1 ||
		{ tail -n 20 "$apt_dir/$1.log" >&2; die "cannot fetch $1 (all of it: $apt_dir/$1.log)"; }
	# shellcheck disable=SC2034 # for the caller
	fetched=$(echo "$new/$1"-*/)
}

end_fetching() { rm -rf "$apt_dir/new" "$apt_dir/state" "$apt_dir/cache"; }
