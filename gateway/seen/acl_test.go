package seen

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/rig"
)

// startGuarded is a Redis with the users of deploy/redis-users.acl, and its address as the gateway's user.
func startGuarded(t *testing.T) (url string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rig.Root(t), "deploy/redis-users.acl"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "PASSWORD", "hunter2", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.Replace(rig.StartRedis(t, "--aclfile", file).URL(), "redis://", "redis://gateway:hunter2@", 1)
}

// The rights that a deployment gives the gateway suffice for what it does, and for nothing else.
func TestTheGatewaysUserOfRedisMayDoNothingElse(t *testing.T) {
	r := open(t, startGuarded(t))
	if _, err := r.EvictionPolicy(t.Context()); err != nil {
		t.Errorf("what the doctor asks for: %v", err)
	}
	for _, command := range [][]any{
		{"FLUSHALL"}, {"FLUSHDB"}, {"KEYS", "*"}, {"SCAN", 0}, {"CONFIG", "GET", "*"}, {"CONFIG", "SET", "maxmemory", "1"}, {"ACL", "LIST"}, {"SHUTDOWN"},
		{"EVAL", "return 1", 0}, {"MONITOR"}, {"CLIENT", "LIST"}, {"DEL", keyPrefix + "x"}, {"EXPIRE", keyPrefix + "x", 1}, {"GET", "another"}, {"SET", "another", "x"}, {"PUBLISH", "x", "y"},
		{"REPLICAOF", "NO", "ONE"}, {"SAVE"}, {"MIGRATE", "127.0.0.1", 1, "x", 0, 1},
	} {
		if err := r.client.(*redis.Client).Do(t.Context(), command...).Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("%v: %v", command, err)
		}
	}
	stranger := redis.NewClient(&redis.Options{Addr: r.client.(*redis.Client).Options().Addr})
	defer func() { _ = stranger.Close() }()
	if err := stranger.Ping(context.Background()).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("without a password: %v", err)
	}
}
