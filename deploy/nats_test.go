package deploy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// accessFolder is made by sluicectl, as an operator does it before there is a NATS.
func accessFolder(t *testing.T, dir string) access.Folder {
	t.Helper()
	folder := filepath.Join(dir, "access")
	for _, line := range []string{"pbx telesales autocall archive", "forward --target crm --target erp=pbx.>"} {
		add := exec.Command(rig.Build(t, "./sluicectl"), append([]string{"team", "add", "--files", "--folder", folder}, strings.Fields(line)...)...)
		if output, err := add.CombinedOutput(); err != nil || !strings.Contains(string(output), `include "access/accounts.conf"`) {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	return access.Folder(folder)
}

// startConfigured starts a nats-server with a file of deploy/nats as it is, but for where it listens and stores.
func startConfigured(t *testing.T, dir, file, client, routes string, environment ...string) *rig.Process {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rig.Root(t), "deploy/nats", file))
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, strings.ReplaceAll(client, ":", "-"))
	places := strings.NewReplacer(`"/data"`, fmt.Sprintf("%q", own), "0.0.0.0:4222", client, "0.0.0.0:8222", rig.Address(t), "0.0.0.0:6222", routes)
	if err := os.WriteFile(own+".conf", []byte(places.Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	return rig.Start(t, rig.NatsServer(t), []string{"-c", own + ".conf"}, rig.Environment(environment...))
}

func connect(t *testing.T, url, seed string) (jetstream.JetStream, error) {
	t.Helper()
	nc, err := stream.Connect(t.Context(), stream.Options{URL: url, Creds: seed})
	if err != nil {
		return nil, err
	}
	t.Cleanup(nc.Close)
	return jetstream.New(nc)
}

// sync makes the places of all teams, once a gateway has made the streams, and lets each team look at its own.
func syncTeams(t *testing.T, url string, folder access.Folder, replicas int) {
	t.Helper()
	var js jetstream.JetStream
	rig.Eventually(t, 60*time.Second, "the streams are made with the gateway's credentials", func() bool {
		var err error
		js, err = connect(t, url, folder.Seed(access.Operator))
		return err == nil && stream.Declare(t.Context(), js, stream.Settings{Replicas: replicas}) == nil
	})
	sync := exec.Command(rig.Build(t, "./sluicectl"), "team", "sync", "--folder", string(folder), "--nats", url)
	if output, err := sync.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for durable, team := range map[string]string{"pbx": "pbx", "telesales": "telesales", "autocall": "autocall", "archive": "archive", "forward-crm": "forward", "forward-erp": "forward"} {
		own, err := connect(t, url, folder.Seed(team))
		if err == nil {
			_, err = own.Consumer(t.Context(), stream.Events, durable)
		}
		if err != nil {
			t.Errorf("%s: %v", durable, err)
		}
	}
	if _, err := connect(t, url, ""); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without credentials: %v", err)
	}
}

func TestOneNATSKnowsTheTeams(t *testing.T) {
	t.Parallel()
	dir, address := t.TempDir(), rig.Address(t)
	folder := accessFolder(t, dir)
	startConfigured(t, dir, "single.conf", address, "").Listening(address)
	syncTeams(t, "nats://"+address, folder, 1)
}

// putRoutes writes where three servers find each other.
func putRoutes(t *testing.T, dir, password string, routes ...string) {
	t.Helper()
	text := fmt.Sprintf("authorization {user: route, password: %s}\nroutes: [", password)
	for _, route := range routes {
		text += fmt.Sprintf("\"nats://route:%s@%s\", ", password, route)
	}
	put(t, filepath.Join(dir, "routes.conf"), text+"]\n")
}

func TestThreeNATSKnowTheTeamsAndEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := accessFolder(t, dir)
	clients, routes := []string{rig.Address(t), rig.Address(t), rig.Address(t)}, []string{rig.Address(t), rig.Address(t), rig.Address(t)}
	putRoutes(t, dir, "s3cret", routes...)
	for n, client := range clients {
		startConfigured(t, dir, "cluster.conf", client, routes[n], fmt.Sprintf("NATS_NAME=nats-%d", n)).Listening(client)
	}
	syncTeams(t, "nats://"+strings.Join(clients, ",nats://"), folder, 3)

	putRoutes(t, dir, "guess", routes[0])
	s := startConfigured(t, dir, "cluster.conf", rig.Address(t), rig.Address(t), "NATS_NAME=stranger")
	s.WaitFor("Authorization", 20*time.Second)
}
