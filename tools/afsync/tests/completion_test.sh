#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Bash's completions after "afsync": the options and commands of the command itself. Prints
# TAP.
#
# Usage: completion_test.sh AFSYNC

here=$(dirname "$(readlink -f "$0")")
. "$here/claims.sh" "${1:?usage: completion_test.sh AFSYNC}"
. "$here/../completion.sh"
touch out err 'a file'
compopt() { :; }

# completes WORD...: the completions of the last word of this command line, one in a line.
completes() {
	COMP_WORDS=(afsync "$@")
	COMP_CWORD=$#
	_afsync "$afsync"
	printf '%s\n' "${COMPREPLY[@]}" | sort >out
}

# offers "WORD..." WORD...: those in the first argument, sorted, and no others.
offers() {
	local want=$1
	shift
	completes "$@"
	[[ $(paste -sd ' ' out) == "$want" ]]
}

# has WORD: it is among the offers.
has() { grep -qxF -- "$1" out; }

every_option() {
	local option
	completes --
	for option in $("$afsync" --help | grep '^ *-' | grep -oE -- '--[a-z0-9-]+' | sort -u); do
		has "$option" || has "$option=" || { echo "not offered: $option" >err; return 1; }
	done
}

short_option() { completes - && has -r && has --recursive; }
begun_option() { offers --recursive --rec; }
option_with_argument() { offers --files0-from= --files0; }
argument_of_option() { offers 'a file' --files0-from = a; }
command() { completes i && has info && completes e && has exec && has err; }
option_of_command() { offers '--help --json' info --; }
info_takes_no_file() { offers '' info a; }
exec_program() { completes exec tru && has true; }
second_file() { offers 'a file' -r err a; }

exec_leaves_the_rest_to_the_program() {
	offset=''
	_command_offset() { offset=$1; }
	completes exec --stats=x true --
	[[ $offset == 3 ]] || return 1
	COMP_WORDS=(afsync exec --stats "=" x true --)
	COMP_CWORD=6
	_afsync "$afsync"
	[[ $offset == 5 ]] || return 1
	completes exec -- true a
	[[ $offset == 3 ]]
}

claim every_option_is_completed every_option
claim short_options_are_offered short_option
claim option_is_completed begun_option
claim option_with_argument_ends_in_equals option_with_argument
claim argument_of_option_is_a_file argument_of_option
claim commands_are_completed command
claim options_of_a_command_are_its_own option_of_command
claim info_takes_no_file info_takes_no_file
claim exec_completes_programs exec_program
claim files_are_completed second_file
claim exec_leaves_the_rest_to_the_program exec_leaves_the_rest_to_the_program
end_of_claims
