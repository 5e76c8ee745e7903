# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Completion of bash for the afsync command. It takes the options and the commands from
# the command's own --help, so that it knows those of the afsync that it completes.

# _afsync_options WORD...: the options that the help of these words shows.
_afsync_options() { "$@" --help 2>/dev/null | grep -oE -- '(^|[ ,])--?[a-z0-9][a-z0-9-]*=?' | tr -d ' ,' | sort -u; }

_afsync_commands() { "$1" --help 2>/dev/null | sed -nE 's/^ +afsync ([a-z]+)( .*)?$/\1/p'; }

_afsync() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd=$1 sub='' i
	COMPREPLY=()
	# "--files0-from=x" comes as three words.
	if [[ $cur == = ]]; then
		cur=''
	elif [[ $prev != = ]]; then
		prev=''
	fi
	if [[ $COMP_CWORD -gt 1 && " $(_afsync_commands "$cmd" | tr '\n' ' ') " == *" ${COMP_WORDS[1]} "* ]]; then
		sub=${COMP_WORDS[1]}
	fi
	if [[ $sub == exec ]]; then
		# What comes after the options is another command line.
		for ((i = 2; i < COMP_CWORD; i++)); do
			[[ ${COMP_WORDS[i]} == -- || ${COMP_WORDS[i]} != [-=]* ]] || continue
			[[ ${COMP_WORDS[i - 1]} != = ]] || continue
			[[ ${COMP_WORDS[i]} != -- ]] || ((i++))
			if declare -F _command_offset >/dev/null; then
				_command_offset "$i"
			else
				compopt -o default
			fi
			return
		done
	fi
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_afsync_options "$cmd" ${sub:+"$sub"})" -- "$cur")
		[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
	elif [[ $sub == exec && $prev != = ]]; then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	elif [[ $sub == '' || $prev == = ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		if [[ $COMP_CWORD == 1 ]]; then
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$(_afsync_commands "$cmd")" -- "$cur")
		fi
	fi
}

complete -F _afsync afsync
