package files

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// bucket is a store at an S3 service: Amazon's, or one that speaks its protocol. An object is there complete or not at
// all: the service compares its MD5 before it accepts it. Nothing is repeated here, because the archiver does, and says
// so. Every call is bounded, so that a service that hangs is trouble that shows and not silence.
type bucket struct {
	client *minio.Client
	name   string
	prefix string // of every object's key; empty, or it ends with a slash
}

const (
	amazon       = "https://s3.amazonaws.com"
	askWithin    = 30 * time.Second // an answer of few bytes
	leastBytes   = 256 << 10        // a second, below which a transfer has hung
	probeWithin  = 5 * time.Second  // at the start, which goes on without an answer
	bucketSyntax = "use s3://name/folder?region=eu-central-1, with &endpoint=https://host for a service that is not Amazon's"
)

// location is what the URL of a bucket says.
type location struct {
	bucket, prefix, region string
	endpoint               *url.URL
}

func parseBucket(place string) (*location, error) {
	u, err := url.Parse(place)
	if err != nil {
		return nil, fmt.Errorf("SLUICE_ARCHIVE: %w: %s", err, bucketSyntax)
	}
	asked := u.Query()
	for key := range asked {
		if key != "region" && key != "endpoint" {
			return nil, fmt.Errorf("SLUICE_ARCHIVE: unknown parameter %q: %s", key, bucketSyntax)
		}
	}
	endpoint, err := url.Parse(cmp.Or(asked.Get("endpoint"), amazon))
	switch {
	case u.User != nil:
		return nil, errors.New("SLUICE_ARCHIVE: credentials do not belong in the URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case u.Host == "":
		return nil, fmt.Errorf("SLUICE_ARCHIVE: s3:// needs the name of a bucket: %s", bucketSyntax)
	case err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" || strings.Trim(endpoint.Path, "/") != "":
		return nil, fmt.Errorf("SLUICE_ARCHIVE: endpoint=%s is not the address of an S3 service: %s", asked.Get("endpoint"), bucketSyntax)
	}
	l := &location{bucket: u.Host, prefix: strings.Trim(u.Path, "/"), region: asked.Get("region"), endpoint: endpoint}
	if l.prefix != "" {
		l.prefix += "/"
	}
	return l, nil
}

// openBucket asks the service once. It refuses to start where the bucket is not there or the credentials are wrong; a
// service that cannot be reached may be back later.
func openBucket(ctx context.Context, place string) (*bucket, error) {
	l, err := parseBucket(place)
	if err != nil {
		return nil, err
	}
	client, err := minio.New(l.endpoint.Host, &minio.Options{
		Creds: awsCredentials(), Secure: l.endpoint.Scheme == "https", Region: l.region, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("SLUICE_ARCHIVE: %w: %s", err, bucketSyntax)
	}
	b := &bucket{client, l.bucket, l.prefix}
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	if _, err := b.List(ctx, "source=/"); isRefusal(err) {
		return nil, fmt.Errorf("SLUICE_ARCHIVE: %w", err)
	}
	return b, nil
}

// awsCredentials looks where Amazon's own tools look: the environment, the file in the home folder, and the role that
// the machine or the pod was given.
func awsCredentials() *credentials.Credentials {
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: &http.Client{Timeout: probeWithin}},
	})
}

func (b *bucket) Write(ctx context.Context, name string, content []byte) error {
	ctx, cancel := context.WithTimeout(ctx, transferTime(int64(len(content))))
	defer cancel()
	// In one request: what is uploaded in parts and given up leaves parts behind that cost money.
	_, err := b.client.PutObject(ctx, b.name, b.prefix+name, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{
		ContentType: "application/vnd.apache.parquet", SendContentMd5: true, DisableMultipart: true,
	})
	return b.explain(err)
}

func (b *bucket) List(ctx context.Context, prefix string) (names []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	for object := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix + prefix}) {
		if object.Err != nil {
			return nil, b.explain(object.Err)
		}
		names = append(names, strings.TrimPrefix(object.Key, b.prefix))
	}
	return names, b.explain(ctx.Err()) // a listing that was cut short ends without an error of its own
}

func (b *bucket) Read(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, transferTime(maxFile))
	defer cancel()
	object, err := b.client.GetObject(ctx, b.name, b.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, b.explain(err)
	}
	defer object.Close()
	content, err := io.ReadAll(object)
	return content, b.explain(err)
}

// maxFile is about the largest file that there is with the default settings, in bytes.
const maxFile = 64 << 20

func transferTime(size int64) time.Duration {
	return askWithin + time.Duration(size/leastBytes)*time.Second
}

// refusals are answers of the service that do not become another one by waiting, with their remedies.
var refusals = map[string]string{
	minio.NoSuchBucket:      "create it, or correct SLUICE_ARCHIVE",
	minio.AccessDenied:      "allow these credentials s3:ListBucket, s3:GetObject and s3:PutObject on it, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
	"InvalidAccessKeyId":    "correct AWS_ACCESS_KEY_ID",
	"XAdminUserNotFound":    "correct AWS_ACCESS_KEY_ID", // Versity's word for it
	"SignatureDoesNotMatch": "correct AWS_SECRET_ACCESS_KEY",
	"RequestTimeTooSkewed":  "set this machine's clock",
	"PermanentRedirect":     "correct the region in SLUICE_ARCHIVE",
}

// refusal is such an answer.
type refusal struct {
	error
	remedy string
}

func (r *refusal) Error() string { return r.error.Error() + ": " + r.remedy }
func (r *refusal) Unwrap() error { return r.error }

func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}

func (b *bucket) explain(err error) error {
	if err == nil {
		return nil
	}
	said := minio.ToErrorResponse(err)
	err = fmt.Errorf("bucket %s at %s: %w", b.name, b.client.EndpointURL().Host, err)
	remedy, known := refusals[said.Code]
	if !known && said.StatusCode == http.StatusForbidden { // not every service names its reasons as Amazon does
		remedy, known = refusals[minio.AccessDenied], true
	}
	if !known {
		return err
	}
	return &refusal{err, remedy}
}

// Close has nothing to do: every write is complete.
func (b *bucket) Close() error { return nil }
