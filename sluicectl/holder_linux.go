package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder names the process that listens on an address, as far as this user may see it.
func holder(address string) string {
	for _, socket := range listeners(address) {
		links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // those of other users cannot be read
		for _, link := range links {
			if to, err := os.Readlink(link); err == nil && to == "socket:["+socket+"]" {
				pid := strings.Split(link, "/")[2]
				name, _ := os.ReadFile("/proc/" + pid + "/comm")
				return fmt.Sprintf("%s, process %s", bytes.TrimSpace(name), pid)
			}
		}
	}
	return "a process that this user cannot see"
}

// listeners are the sockets that listen on an address's port; see proc(5), /proc/net/tcp.
func listeners(address string) (sockets []string) {
	_, digits, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(digits)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := os.ReadFile(table)
		for line := range strings.Lines(string(text)) {
			const local, state, inode, listening = 1, 3, 9, "0A"
			if f := strings.Fields(line); len(f) > inode && f[state] == listening && strings.HasSuffix(f[local], fmt.Sprintf(":%04X", port)) {
				sockets = append(sockets, f[inode])
			}
		}
	}
	return sockets
}
