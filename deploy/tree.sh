#!/bin/sh
# Makes a tree of `files.txt`: tree.sh TREE PROGRAMS DESTINATION [OWNER]
#
# PROGRAMS is a folder with the built programs. With OWNER, such as 65532:65532, only the files of that owner
# are made. As root, the files get their owners; otherwise they belong to the caller.
set -eu
tree=$1 programs=$2 destination=$3 only=${4:-}
root=$(cd "$(dirname "$0")/.." && pwd)
made=0
mkdir -p "$destination"
chmod 0755 "$destination"
umask 022

while read -r owner mode path trees source rest; do
    case $owner in '' | '#'*) continue ;; esac
    if [ -z "$source" ] || [ -n "$rest" ]; then
        echo "files.txt: not five columns: $owner $mode $path $trees $source $rest" >&2
        exit 1
    fi
    case ",$trees," in *",$tree,"*) ;; *) continue ;; esac
    [ -z "$only" ] || [ "$only" = "$owner" ] || continue
    target=$destination$path
    mkdir -p "$(dirname "$target")"
    case $source in
        folder) mkdir -p "$target" ;;
        program:*) cp "$programs/${source#program:}" "$target" ;;
        completions:*)
            shell=${source##*:} program=${source#completions:}
            "$programs/${program%:*}" generate completions "$shell" >"$target" </dev/null
            ;;
        man:*)
            mkdir -p "$target"
            "$programs/${source#man:}" generate man --to "$target" </dev/null
            gzip -9n "$target"/*.1
            chmod 0644 "$target"/*.1.gz
            [ "$(id -u)" -ne 0 ] || chown "$owner" "$target"/*.1.gz
            ;;
        *) cp "$root/$source" "$target" ;;
    esac
    chmod "$mode" "$target"
    [ "$(id -u)" -ne 0 ] || chown "$owner" "$target"
    made=$((made + 1))
done <"$root/deploy/files.txt"

if [ "$made" -eq 0 ] && [ -z "$only" ]; then
    echo "files.txt has no tree $tree" >&2
    exit 1
fi
