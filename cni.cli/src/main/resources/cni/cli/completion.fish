
# Prints the words of the command line that are neither options nor their values: the command, its
# subcommand, its parameters.
function __cni_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            contains -- $word $__cni_value_options; and set skip 1
        else if test $word != help
            echo $word
        end
    end
end

# Succeeds if the cursor is behind a command, and, if a number is given, at its parameter of that
# number, counted from 0; behind a plus sign, at this or a later one.
function __cni_at
    set -l words (__cni_words)
    set -l path
    if set -q words[1]; and contains -- $words[1] $__cni_commands
        set path $words[1]
        set -e words[1]
        if contains -- $path $__cni_groups; and set -q words[1]
            set path "$path $words[1]"
            set -e words[1]
        end
    end
    test "$path" = "$argv[1]"; or return 1
    set -q argv[2]; or return 0
    if string match -q -- '+*' $argv[2]
        test (count $words) -ge (string sub -s 2 -- $argv[2])
    else
        test (count $words) = $argv[2]
    end
end

# Prints the value of an option on the command line, or else the default.
function __cni_option_value
    set -l words (commandline -opc)
    for i in (seq (count $words))
        if string match -q -- "$argv[1]=*" $words[$i]
            string replace -- "$argv[1]=" '' $words[$i]
            return
        else if test $words[$i] = $argv[1]; and set -q words[(math $i + 1)]
            echo $words[(math $i + 1)]
            return
        end
    end
    echo $argv[2]
end

function __cni_networks
    set -l directory /etc/cni/net.d
    set -q NETCONFPATH; and set directory $NETCONFPATH
    set directory (__cni_option_value --networks $directory)
    for file in $directory/*.conflist $directory/*.conf $directory/*.json
        grep -oE '"name"[[:space:]]*:[[:space:]]*"[^"]*"' $file 2>/dev/null | head -n 1 | cut -d '"' -f 4
    end
end

# Files are candidates only once a slash has been typed.
function __cni_namespaces
    ls /run/netns 2>/dev/null
    if string match -q -- '*/*' (commandline -ct)
        __fish_complete_path (commandline -ct)
    end
end

# The ends of a path, for "cni why".
function __cni_ends
    echo host
    __cni_namespaces
    __cni_containers
end

function __cni_containers
    grep -rohE '"containerId"[[:space:]]*:[[:space:]]*"[^"]*"' (__cni_option_value --cache /var/lib/cni)/results 2>/dev/null | cut -d '"' -f 4 | sort -u
end

function __cni_plugins
    set -l path /opt/cni/bin
    set -q CNI_PATH; and set path (string split ':' -- $CNI_PATH)
    begin
        printf '%s\n' $__cni_plugin_types
        ls $path 2>/dev/null | string match -v '*:'
    end | sort -u
end

complete -c cni -f
complete -c cni -n '__cni_at ""' -a help -d 'Describe a command'
