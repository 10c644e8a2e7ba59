#!/bin/sh
# Prints the path of a Viceroy (Fastly's local runtime) >= 0.22. Exit code 1 if there is none.
#
# $VICEROY, when set, is the only candidate. Otherwise, first that will do: PATH, then the one that
# `viceroy.sh --install` has built, once a machine, in the user's cache. That takes 10 to 20 minutes
# and goes on where it was interrupted; of two at once the second waits for the first.

version=0.22.0
rust=1.95 # the oldest that can build it
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin # where rustup puts cargo; not on every shell's PATH
root=${XDG_CACHE_HOME:-$HOME/.cache}/tiergate/viceroy-$version

at_least() { # at_least MAJOR.MINOR NAME: whether stdin says "NAME 1.2.3 ..." of that or a later one
    sed -n "s/^$2 \([0-9]*\)\.\([0-9]*\)\..*/\1 \2/p" | {
        read -r major minor || return 1
        [ "$major" -gt "${1%.*}" ] || { [ "$major" -eq "${1%.*}" ] && [ "$minor" -ge "${1#*.}" ]; }
    }
}

try() { # try CANDIDATE: prints its path and ends the script if it will do
    found=$(command -v "$1" 2>/dev/null) &&
        "$found" --version 2>/dev/null | at_least "${version%.*}" viceroy &&
        printf '%s\n' "$found" && exit 0
}

if [ -n "${VICEROY:-}" ]; then
    try "$VICEROY"
    echo "VICEROY=$VICEROY is not a Viceroy ${version%.*} or newer: set it to the path of one, or unset it." >&2
    exit 1
fi

try viceroy
try "$root/bin/viceroy"

if [ "${1:-}" != --install ]; then
    echo "there is no Viceroy ${version%.*} or newer: \`make viceroy\` installs it (10-20 minutes, once a machine)" >&2
    exit 1
fi

if ! cargo --version >/dev/null 2>&1 || ! rustc --version 2>/dev/null | at_least "$rust" rustc; then
    echo "viceroy: building it needs cargo and Rust $rust or newer: get them from https://rustup.rs (or, where rustup is, \`rustup update stable\`)." >&2
    exit 1
fi

mkdir -p "$root" || exit 1
# The lock is held by cargo too: it lasts as long as anybody builds here. (macOS has no flock; there
# cargo's own lock makes the second wait.)
exec 9>"$root/.lock"
if command -v flock >/dev/null && ! flock -n 9; then
    echo "viceroy: waiting for an install that is under way" >&2
    flock 9
fi
try "$root/bin/viceroy"

echo "viceroy: building $version into $root, once a machine; 10 to 20 minutes without a word" >&2
CARGO_TARGET_DIR=$root/target CARGO_PROFILE_RELEASE_LTO=off \
    cargo install viceroy --version "$version" --locked --root "$root" --quiet >&2 || {
    echo "viceroy: cargo could not build it, see above; another try goes on where this one stopped." >&2
    exit 1
}
rm -rf "$root/target"
try "$root/bin/viceroy"
echo "viceroy: $root/bin/viceroy was built and does not run." >&2
exit 1
