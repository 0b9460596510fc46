module pkgtool.invalid/vsudd

go 1.24.0

tool github.com/linuxkit/virtsock/cmd/vsudd

require github.com/linuxkit/virtsock v0.0.0-20241009230534-cb6a20cc0422 // indirect

require golang.org/x/sys v0.38.0 // indirect
