package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/memblob" // mem://, for tests
)

// bucket is a store at a provider of buckets: an object is there complete or not at all.
type bucket struct{ *blob.Bucket }

func openBucket(ctx context.Context, url string) (*bucket, error) {
	b, err := blob.OpenBucket(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("SLUICE_ARCHIVE: %w: use a URL such as s3://name?region=eu-central-1, gs://name or azblob://name, and set the credentials that the provider's tools use", err)
	}
	return &bucket{b}, nil
}

func (b *bucket) write(ctx context.Context, name string, content []byte) error {
	return b.WriteAll(ctx, name, content, &blob.WriterOptions{ContentType: "application/vnd.apache.parquet"})
}

func (b *bucket) list(ctx context.Context, prefix string) (names []string, err error) {
	for objects := b.List(&blob.ListOptions{Prefix: prefix}); ; {
		object, err := objects.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return names, nil
		case err != nil:
			return nil, err
		}
		names = append(names, object.Key)
	}
}

func (b *bucket) read(ctx context.Context, name string) ([]byte, error) { return b.ReadAll(ctx, name) }
