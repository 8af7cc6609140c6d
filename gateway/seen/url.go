package seen

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/secure"
)

// Measured against a Redis that hangs, refuses or is a black hole: with these a round trip ends within its context,
// and with the defaults after 5 to 50 s.
const (
	dialTimeout = commandTimeout
	ioTimeout   = 80 * time.Millisecond // the context is shorter; this holds where there is none
	poolTimeout = 50 * time.Millisecond
	poolSize    = 64
	idle        = 8
)

// CheckURL returns what is wrong with a REDIS_URL. It does not connect.
func CheckURL(list string, files secure.Files) error {
	_, err := parseURL(list, files)
	return err
}

// parseURL reads a REDIS_URL: redis://, rediss:// or unix://. Several separated by commas, or one with ?cluster=true,
// are nodes of a Cluster; with ?master_name=… they are Sentinels that know where that master is.
func parseURL(list string, files secure.Files) (*redis.UniversalOptions, error) {
	var all *redis.UniversalOptions
	for one := range strings.SplitSeq(list, ",") {
		next, err := parseOne(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = next
			continue
		}
		all.Addrs = append(all.Addrs, next.Addrs...)
		all.IsClusterMode = all.IsClusterMode || next.IsClusterMode
		all.MasterName = cmp.Or(all.MasterName, next.MasterName)
	}
	tune(all)
	if all.TLSConfig == nil && files.Any() {
		return nil, fmt.Errorf("REDIS_URL=%q is not encrypted, although REDIS_CA, REDIS_CERT or REDIS_KEY is set: use rediss://, or unset them", mask.Address(list))
	}
	return all, nil
}

func parseOne(text string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL has an address that cannot be read: %s", allowed)
	}
	query := u.Query()
	cluster, master := query.Get("cluster") == "true", query.Get("master_name")
	query.Del("cluster")
	query.Del("master_name")
	u.RawQuery = query.Encode()
	parsed, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL=%q: %s: %s", mask.Address(text), mask.Text(err.Error(), text), allowed)
	}
	o := &redis.UniversalOptions{
		Addrs: []string{parsed.Addr}, DB: parsed.DB, Username: parsed.Username, Password: parsed.Password,
		TLSConfig: parsed.TLSConfig, Protocol: parsed.Protocol, IsClusterMode: cluster, MasterName: master,
	}
	if parsed.Network == "unix" {
		o.Dialer = func(ctx context.Context, _, path string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	}
	return o, nil
}

const allowed = "use redis://host:6379, rediss:// for TLS, unix:///path; several separated by commas for a Cluster, ?master_name=… for Sentinels"

func tune(o *redis.UniversalOptions) {
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.DialerRetries = dialTimeout, 1
	o.ReadTimeout, o.WriteTimeout = ioTimeout, ioTimeout
	o.MaxRetries = -1
	o.PoolTimeout, o.PoolSize, o.MinIdleConns = poolTimeout, poolSize, idle
	o.PipelinePoolSize = -1 // pipelines would have a pool of their own, which MinIdleConns does not warm
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
