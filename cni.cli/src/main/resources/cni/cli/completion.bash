
_cni_networks() {
  ls "$1" 2>/dev/null | while IFS= read -r file; do
    case $file in
      *.conflist | *.conf | *.json)
        grep -oE '"name"[[:space:]]*:[[:space:]]*"[^"]*"' "$1/$file" 2>/dev/null | head -n 1 | cut -d '"' -f 4
        ;;
    esac
  done | sort -u
}

_cni_containers() {
  grep -rohE '"containerId"[[:space:]]*:[[:space:]]*"[^"]*"' "$1/results" 2>/dev/null | cut -d '"' -f 4 | sort -u
}

_cni_plugins() {
  {
    echo "$_cni_plugin_types" | tr ' ' '\n'
    echo "${CNI_PATH:-/opt/cni/bin}" | tr ':' '\n' | while IFS= read -r directory; do
      ls "$directory" 2>/dev/null
    done
  } | sort -u
}

# Completes a value of a kind.
_cni_value() {
  local kind=$1 cur=$2 networks=$3 cache=$4 words=
  case $kind in
    words:*) words=${kind#words:} ;;
    networks) words=$(_cni_networks "$networks") ;;
    namespaces) words=$(ls /run/netns 2>/dev/null) ;;
    ends) words="host $(ls /run/netns 2>/dev/null) $(_cni_containers "$cache")" ;;
    containers) words=$(_cni_containers "$cache") ;;
    plugins) words=$(_cni_plugins) ;;
    directories) COMPREPLY=($(compgen -d -- "$cur")) ;;
    files) COMPREPLY=($(compgen -f -- "$cur")) ;;
    commands) COMPREPLY=($(compgen -c -- "$cur")) ;;
  esac
  case $kind:$cur in
    namespaces:*/* | ends:*/* | plugins:*/* | networks:*/*) COMPREPLY=($(compgen -f -- "$cur")) ;;
    *) [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
  esac
}

_cni() {
  [ -z "${ZSH_VERSION-}" ] || setopt localoptions ksharrays shwordsplit
  local cur=${COMP_WORDS[COMP_CWORD]} word option= pending= command= parameters=0 i _cni_kind=
  local networks=${NETCONFPATH:-/etc/cni/net.d} cache=/var/lib/cni prefix=
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    [ "$word" != = ] || continue
    [ "$i:$word" != 1:help ] || continue
    if [ -n "$pending" ]; then
      case $option in
        --networks) networks=$word ;;
        --cache) cache=$word ;;
      esac
      pending=
      continue
    fi
    case $word in
      --networks=*) networks=${word#*=} ;;
      --cache=*) cache=${word#*=} ;;
      -*=*) ;;
      --) ;;
      -*)
        option=$word
        _cni_option "$command" "$option"
        [ "$_cni_kind" = flag ] || pending=$_cni_kind
        ;;
      *)
        case " $(_cni_subcommands "$command") " in
          *" $word "*) command="$command${command:+ }$word" ;;
          *) parameters=$((parameters + 1)) ;;
        esac
        ;;
    esac
    # What follows the command of "cni run" belongs to it.
    [ "$command:$parameters" != run:1 ] || { COMPREPLY=($(compgen -f -- "$cur")); return; }
  done
  [ "$cur" != = ] || cur=
  case $pending:$cur in
    :-*=*)
      option=${cur%%=*}
      prefix=$option=
      cur=${cur#*=}
      _cni_option "$command" "$option"
      _cni_value "$_cni_kind" "$cur" "$networks" "$cache"
      COMPREPLY=("${COMPREPLY[@]/#/$prefix}")
      ;;
    :-*) COMPREPLY=($(compgen -W "$(_cni_options "$command")" -- "$cur")) ;;
    :*)
      word=$(_cni_subcommands "$command")
      if [ -n "$word" ] && [ "$parameters" = 0 ]; then
        [ -n "$command" ] || word="$word help"
        COMPREPLY=($(compgen -W "$word" -- "$cur"))
      else
        _cni_parameter "$command" "$parameters"
        _cni_value "$_cni_kind" "$cur" "$networks" "$cache"
      fi
      ;;
    *) _cni_value "$pending" "$cur" "$networks" "$cache" ;;
  esac
}

complete -F _cni cni
