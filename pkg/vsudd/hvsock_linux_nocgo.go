//go:build linux && !cgo

package hvsock

import (
	"errors"
	"net"
)

// The package's own Linux file needs a C compiler, for a socket family of patched 4.9 kernels that no released
// kernel has. Without it vsudd takes the way that it takes on every kernel since 4.14: Hyper-V service ids are
// vsock ports.

var errNoLegacy = errors.New("the Hyper-V socket family of patched kernels is not compiled in")

// Supported says whether the old socket family exists.
func Supported() bool { return false }

// Dial always fails: there is no such socket family.
func Dial(Addr) (Conn, error) { return nil, errNoLegacy }

// Listen always fails: there is no such socket family.
func Listen(Addr) (net.Listener, error) { return nil, errNoLegacy }
