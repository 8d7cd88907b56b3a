# bash completion for routewall                                                                   -*- shell-script -*-

# The containers that LXC's folders hold, those that the daemon serves: a folder with a config in each.
_routewall_containers() {
  local path config served
  local -a paths=()
  for ((path = 1; path < COMP_CWORD; path++)); do
    case ${COMP_WORDS[path]} in -P | --lxc-path) paths+=("${COMP_WORDS[path + 1]}") ;; esac
  done
  if ((${#paths[@]} == 0)); then
    served=$(sed -n 's/.*"lxcPaths":\["\([^]]*\)"\].*/\1/p' "${RUNTIME_DIRECTORY:-/run/routewall}/status.json" 2>/dev/null)
    while IFS= read -r path; do paths+=("${path:-/var/lib/lxc}"); done <<<"${served//\",\"/$'\n'}"
  fi
  for path in "${paths[@]}"; do
    for config in "$path"/*/config; do
      [[ -e $config ]] || continue
      config=${config%/config}
      printf '%s\n' "${config##*/}"
    done
  done
}

# Only root may look in there.
_routewall_revisions() {
  local revision
  for revision in "${STATE_DIRECTORY:-/var/lib/routewall}"/revisions/[0-9]*/; do
    [[ -e $revision ]] && basename "$revision"
  done
}

# Sets COMPREPLY to those of the lines in $1 that begin with $2.
_routewall_reply() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    [[ -n $line && $line == "$2"* ]] && COMPREPLY+=("$line")
  done <<<"$1"
}

_routewall_words() {
  _routewall_reply "${1// /$'\n'}" "$2"
}

_routewall_files() {
  local IFS=$'\n'
  compopt -o filenames 2>/dev/null
  # shellcheck disable=SC2207
  COMPREPLY=($(compgen "$1" -- "$2"))
}

# A colon breaks words (COMP_WORDBREAKS): `container:web` arrives as three, of which only the last is replaced.
_routewall_peer() {
  local cur=$1
  case $cur in
    container) COMPREPLY=(container:) && compopt -o nospace 2>/dev/null ;;
    :) _routewall_reply "$(_routewall_containers)" '' ;;
    *)
      if [[ ${COMP_WORDS[COMP_CWORD - 1]} == : ]]; then
        _routewall_reply "$(_routewall_containers)" "$cur"
      else
        _routewall_words 'host container:' "$cur"
        [[ ${COMPREPLY[*]} == container: ]] && compopt -o nospace 2>/dev/null
      fi
      ;;
  esac
}

_routewall() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word command='' words=''
  local commands='@COMMANDS@ help' valued='@VALUED@'
  local -a options=(@SHARED@)
  # How many arguments of the command stand before the cursor; options and their values are none.
  local -i position=0 skip=0
  COMPREPLY=()
  # `--from container:we` is `--from`, `container`, `:`, `we`.
  [[ $prev == : ]] && prev=${COMP_WORDS[COMP_CWORD - 3]}
  [[ $cur == : ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word == [:=] ]]; then
      skip=1
    elif ((skip)); then
      skip=0
    elif [[ $word == -* ]]; then
      [[ " $valued " == *" $word "* ]] && skip=1
    elif [[ -n $command ]]; then
      position+=1
    elif [[ " $commands " == *" $word "* ]]; then
      command=$word
    fi
  done
  case $prev in
    -n | --name) _routewall_reply "$(_routewall_containers)" "$cur" && return ;;
    --from | --to) _routewall_peer "$cur" && return ;;
  esac
  case "$command $prev" in
@VALUES@
  esac
  if [[ -n $words ]]; then
    _routewall_words "$words" "$cur"
    return
  fi
  [[ " $valued " == *" $prev "* ]] && return
  case $command in
@OPTIONS@
  esac
  if [[ $cur == -* ]]; then
    _routewall_words "${options[*]}" "$cur"
    return
  elif [[ -z $command || $command == help ]]; then
    _routewall_words "$commands" "$cur"
    return
  fi
  case "$command $position" in
@ARGUMENTS@
  esac
  [[ -z $words ]] || _routewall_words "$words" "$cur"
}

complete -F _routewall routewall
