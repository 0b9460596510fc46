# shellcheck shell=sh disable=SC2154
# The compiler cache of build.sh. It needs of it: here, tree, compiler, host_compiler, KERNEL_WORK, KERNEL_CCACHE.
#
# ccache runs in its depend mode: no file is preprocessed to find out whether its object is there. An object is taken
# only if all of this is what it was: the source, every header that was read, every CONFIG_ symbol that one of them
# mentions (symbols.c says how), the arguments, the compilers with their assemblers and headers, and the names of all
# headers of the tree, since a new one may stand before another.

# Under the compilers' own names, so that no configuration or file can tell the difference.
cache_compilers() {
    tools=$(compiler_digest)
    mkdir -p "$KERNEL_WORK/ccache" "$KERNEL_CCACHE"
    "$host_compiler" -O2 -o "$KERNEL_WORK/ccache/symbols" "$here/symbols.c"
    for program in "$compiler" "$host_compiler"; do
        ln -sf "$(command -v ccache)" "$KERNEL_WORK/ccache/$program"
    done
    rm -rf "$KERNEL_WORK/symbols"
    PATH=$KERNEL_WORK/ccache:$PATH
    export PATH CCACHE_DIR="$KERNEL_CCACHE" CCACHE_COMPILERCHECK="string:$tools" CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=5G
    export CCACHE_BASEDIR="$KERNEL_WORK" CCACHE_UMASK=000 CCACHE_DEPEND=1
    export CCACHE_PREFIX="$KERNEL_WORK/ccache/symbols" KERNEL_SYMBOLS="$KERNEL_WORK/symbols"
    ccache --zero-stats >/dev/null
}

compiler_digest() {
    {
        for program in "$compiler" "$host_compiler"; do
            for part in cc1 as; do
                sha256sum <"$(command -v "$("$program" -print-prog-name=$part)")"
            done
            find "$("$program" -print-file-name=include)" -type f -exec sha256sum {} +
        done
        find /usr/include -type f -exec sha256sum {} +
        cd "$tree" && find . -name '*.h'
    } | sort | sha256sum | cut -d ' ' -f 1
}

# From here on, which needs the autoconf.h of `make prepare`; what is compiled before depends on all of it.
cache_by_symbol() {
    PYTHONDONTWRITEBYTECODE=1 python3 "$here/symbols.py" --tree "$tree" --output "$KERNEL_SYMBOLS"
}
