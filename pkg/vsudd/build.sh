#!/bin/sh
# Compile vsudd from its module, with two changes:
#   - a Linux implementation of the hvsock package that needs no C compiler;
#   - dup3 instead of dup2, a system call that arm64 and riscv64 don't have.
set -eu

module=github.com/linuxkit/virtsock
export GOMODCACHE=/tmp/go/mod GOPROXY=file:///inputs/go

go mod download "$module"
cp -r "$(go list -m -f '{{.Dir}}' "$module")" virtsock
chmod -R u+w virtsock

cp hvsock_linux_nocgo.go virtsock/pkg/hvsock/
sed -i -E 's/syscall\.Dup2\((.*)\)$/syscall.Dup3(\1, 0)/' virtsock/cmd/vsudd/main.go
if grep -q 'syscall\.Dup2' virtsock/cmd/vsudd/main.go || ! grep -q 'syscall\.Dup3' virtsock/cmd/vsudd/main.go; then
	echo "vsudd's use of dup2 is not what this script was written for" >&2
	exit 1
fi

go mod edit -replace "$module=./virtsock"
go-build "$module/cmd/vsudd" "$1"
