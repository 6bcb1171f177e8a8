# Completion of kalive for bash 4.4 and later: asks kalive itself.

_kalive() {
    local line=${COMP_LINE:0:COMP_POINT} words=() word blank i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        # Behind -- stands a command of its own, which bash-completion knows how to complete.
        if [[ $i -gt 0 && ${COMP_WORDS[i - 1]} == -- ]] && declare -F _command_offset >/dev/null; then
            _command_offset "$i"
            return
        fi
        # bash breaks words at = and : too: what touches on the line belongs together.
        blank=${line%%[![:blank:]]*}
        line=${line#"$blank"}
        word=${COMP_WORDS[i]}
        ((i < COMP_CWORD)) || word=$line
        line=${line#"$word"}
        if [[ $i -eq 0 || $blank ]]; then
            words+=("$word")
        else
            words[-1]+=$word
        fi
    done
    local typed=${words[-1]}
    words=("${words[@]//[\"\'\\]/}")
    mapfile -t COMPREPLY < <(
        _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) KALIVE_COMPLETE=bash \
            command kalive -- "${words[@]}" 2>/dev/null
    )
    for i in "${!COMPREPLY[@]}"; do
        # bash replaces only what follows the last break.
        word=${COMPREPLY[i]#"${words[-1]%"$2"}"}
        if [[ $typed != [\"\']* && $word == *[[:space:]\"\'\\\`\$\&\;\|\<\>\(\)*?!#]* ]]; then
            printf -v word %q "$word"
        fi
        COMPREPLY[i]=$word
    done
    # A directory, or a host in front of its port, goes on.
    [[ ${COMPREPLY-} != *[/:=] ]] || compopt -o nospace 2>/dev/null
}

complete -o nosort -F _kalive kalive
