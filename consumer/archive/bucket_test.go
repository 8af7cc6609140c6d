package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// startS3 is an S3 service. The credentials for it are in the environment of all tests.
func startS3(t *testing.T) *rig.S3 { t.Helper(); return rig.StartS3(t) }

// place is the SLUICE_ARCHIVE of a bucket, reached at an address.
func place(address string, s *rig.S3, folder ...string) string {
	return "s3://" + s.Bucket + strings.Join(folder, "") + "?region=us-east-1&endpoint=http://" + address
}

func TestABucketThatCannotBeUsedEndsTheStartWithARemedy(t *testing.T) {
	s3 := startS3(t)
	for what, c := range map[string]struct{ access, secret, place, want string }{
		"unknown key":  {"nobody", s3.Secret, place(s3.Address, s3), "correct AWS_ACCESS_KEY_ID"},
		"wrong secret": {s3.Access, "wrong", place(s3.Address, s3), "correct AWS_SECRET_ACCESS_KEY"},
		"no bucket":    {s3.Access, s3.Secret, strings.Replace(place(s3.Address, s3), s3.Bucket, "nobodys", 1), "create it, or correct SLUICE_ARCHIVE"},
	} {
		t.Setenv("AWS_ACCESS_KEY_ID", c.access)
		t.Setenv("AWS_SECRET_ACCESS_KEY", c.secret)
		_, err := files.Open(t.Context(), c.place)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), s3.Secret) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestABucketThatIsAwayAtTheStartMayComeBack(t *testing.T) {
	t.Parallel()
	s3 := startS3(t)
	s3.Kill()
	b, err := files.Open(t.Context(), place(s3.Address, s3))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Write(t.Context(), "a", []byte("x")); err == nil {
		t.Error("a service that is away takes a file")
	}
	s3.Start()
	s3.Listening(s3.Address)
	if err := b.Write(t.Context(), "a", []byte("x")); err != nil {
		t.Error(err)
	}
}

// fault is what a proxy in front of the service does to requests.
type fault func(w http.ResponseWriter, r *http.Request, service http.Handler)

var faults = map[string]fault{
	"slow": func(w http.ResponseWriter, r *http.Request, service http.Handler) {
		select {
		case <-time.After(700 * time.Millisecond):
			service.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	},
	"503": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>`)
	},
	"upload cut in the middle": func(w http.ResponseWriter, r *http.Request, service http.Handler) {
		if r.Method == http.MethodPut {
			_, _ = io.CopyN(io.Discard, r.Body, 10)
			hangUp(w)
			return
		}
		service.ServeHTTP(w, r)
	},
	"answer to an upload cut off": func(w http.ResponseWriter, r *http.Request, service http.Handler) {
		if r.Method == http.MethodPut {
			service.ServeHTTP(httptest.NewRecorder(), r) // stored, and nobody is told
			hangUp(w)
			return
		}
		service.ServeHTTP(w, r)
	},
	"download cut in the middle": func(w http.ResponseWriter, r *http.Request, service http.Handler) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, files.Extension) {
			whole := httptest.NewRecorder()
			service.ServeHTTP(whole, r)
			for key, values := range whole.Header() {
				w.Header()[key] = values
			}
			w.WriteHeader(whole.Code)
			_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
			hangUp(w)
			return
		}
		service.ServeHTTP(w, r)
	},
	"bytes changed on the way": func(w http.ResponseWriter, r *http.Request, service http.Handler) {
		if r.Method == http.MethodPut {
			content, _ := io.ReadAll(r.Body)
			content[len(content)/2] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(content))
		}
		service.ServeHTTP(w, r)
	},
}

func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// proxy stands before the service, and does what it is told to the requests.
func proxy(t *testing.T, s3 *rig.S3) (address string, now *atomic.Pointer[fault]) {
	t.Helper()
	now = new(atomic.Pointer[fault])
	at, _ := url.Parse("http://" + s3.Address)
	service := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = at.Scheme, at.Host }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := now.Load(); f != nil {
			(*f)(w, r, service)
			return
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), now
}

// Whatever the service does, what it did not confirm is not taken for stored, and what it gives is whole.
func TestABucketsFaultsAreErrorsAndNeverLieAboutAFile(t *testing.T) {
	t.Parallel()
	s3 := startS3(t)
	address, now := proxy(t, s3)
	b, err := files.Open(t.Context(), place(address, s3))
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789"), 10_000)
	for what, f := range faults {
		name := strings.ReplaceAll(what, " ", "-") + files.Extension
		now.Store(&f)
		wrote := b.Write(t.Context(), name, content)
		got, read := b.Read(t.Context(), name)
		now.Store(nil)
		if read == nil && !bytes.Equal(got, content) {
			t.Errorf("%s: read %d bytes of %d and no error", what, len(got), len(content))
		}
		whole, err := b.Read(t.Context(), name)
		if wrote == nil && (err != nil || !bytes.Equal(whole, content)) {
			t.Errorf("%s: it was written without an error, and reads %d bytes, %v", what, len(whole), err)
		}
		if wrote != nil && err == nil && !bytes.Equal(whole, content) {
			t.Errorf("%s: a failed write is there in part, %d bytes", what, len(whole))
		}
		if (wrote != nil) != failsWrites(what) {
			t.Errorf("%s: the write says %v", what, wrote)
		}
	}
}

func TestAListingThatIsCutShortIsAnError(t *testing.T) {
	t.Parallel()
	s3 := startS3(t)
	address, now := proxy(t, s3)
	b, err := files.Open(t.Context(), place(address, s3))
	if err != nil {
		t.Fatal(err)
	}
	slow := faults["slow"]
	now.Store(&slow)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if names, err := b.List(ctx, "a/"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("lists %v, %v", names, err)
	}
}

// Events are in a bucket each once, whatever the service does meanwhile.
func TestEventsAreInABucketOnceThroughItsFaults(t *testing.T) {
	t.Parallel()
	s3 := startS3(t)
	address, now := proxy(t, s3)
	h := newHub(t)
	h.root = s3.Folder()
	files, err := files.Open(t.Context(), place(address, s3))
	if err != nil {
		t.Fatal(err)
	}
	a := h.archiverOf(files)
	h.start(a)
	for what, f := range faults {
		now.Store(&f)
		h.publish(7)
		if failsWrites(what) {
			rig.Eventually(t, time.Minute, what+": /readyz says so", func() bool { return a.trouble.Load().Status == telemetry.Degraded })
		}
		now.Store(nil)
		h.done()
	}
	h.balance()
	s3.RemoveBucket()
	h.publish(7)
	rig.Eventually(t, time.Minute, "/readyz says that the bucket is gone", func() bool {
		return strings.Contains(a.trouble.Load().Detail, "create it, or correct SLUICE_ARCHIVE")
	})
	s3.MakeBucket()
	h.done()
}

// failsWrites reports whether a fault lets no write be confirmed.
func failsWrites(what string) bool { return what != "slow" && what != "download cut in the middle" }

// Every store keeps the same promises.
func TestStores(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s3 := startS3(t)
	for _, place := range []string{root, "file://" + filepath.Join(root, "deeper", "still"), place(s3.Address, s3), place(s3.Address, s3, "/of/a/team")} {
		s, err := files.Open(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		if names, err := s.List(t.Context(), "a=1/b=2/"); err != nil || len(names) != 0 {
			t.Errorf("%s: an empty store lists %v, %v", place, names, err)
		}
		for name, content := range map[string]string{"a=1/b=2/1.parquet": "old", "a=1/b=2/2.parquet": "two", "a=1/b=22/3.parquet": "three"} {
			if err := s.Write(t.Context(), name, []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Write(t.Context(), "a=1/b=2/1.parquet", []byte("one")); err != nil {
			t.Fatal(err)
		}
		names, err := s.List(t.Context(), "a=1/b=2/")
		if slices.Sort(names); err != nil || !slices.Equal(names, []string{"a=1/b=2/1.parquet", "a=1/b=2/2.parquet"}) {
			t.Errorf("%s: lists %v, %v", place, names, err)
		}
		if content, err := s.Read(t.Context(), "a=1/b=2/1.parquet"); err != nil || string(content) != "one" {
			t.Errorf("%s: reads %q, %v", place, content, err)
		}
		if _, err := s.Read(t.Context(), "a=1/b=2/9.parquet"); err == nil {
			t.Errorf("%s: reads what is not there", place)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
